"""A headless Chromium that tells what a page did: console messages, requests, its DOM, how it looks."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
LIMIT_S = 120.0
# what Chromium asks on its own, whatever page is open (the time, updates of its parts): these very hosts, no others
OWN = (b"clients2.google.com", b"update.googleapis.com", b"accounts.google.com", b"android.clients.google.com")
# whatever Chromium does for itself must not be mistaken for the page's doing
QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--no-first-run",
    "--no-pings",
    "--hide-scrollbars",
)


@dataclass(slots=True)
class Seen:
    """What one opening of a page gave; `asked` holds the first bytes of each request that left the browser."""

    dom: str = ""
    console: list[str] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)


def program() -> str:
    """Where the browser is; a host without one fails the test rather than skips it."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    assert found, f"none of {', '.join(NAMES)} is installed: the report cannot be looked at"
    return found


def open_page(page: Path) -> Seen:
    """Load `page` from disk, with every request sent to a proxy that writes it down and answers nothing."""
    seen = Seen()
    with _proxy(seen) as port:
        told = _run(
            "--dump-dom",
            "--enable-logging=stderr",
            f"--proxy-server=http://127.0.0.1:{port}",
            "--proxy-bypass-list=<-loopback>",
            "--virtual-time-budget=3000",
            page.as_uri(),
        )
    seen.dom = told.stdout
    seen.console = [line for line in told.stderr.splitlines() if ":CONSOLE" in line]
    return seen


def screenshot(page: Path, target: Path, width: int, height: int) -> tuple[int, int]:
    """Draw `page` into a PNG file; its width and height as they are in the file."""
    _run(f"--screenshot={target}", f"--window-size={width},{height}", page.as_uri())
    data = target.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    w, h = struct.unpack(">II", data[16:24])
    return int(w), int(h)


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(prefix="lab-browser-") as profile:
        argv = [program(), *QUIET, f"--user-data-dir={profile}", *options]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def _host(request: bytes) -> bytes:
    """The host that a proxy is asked for: GET http://HOST:PORT/… or CONNECT HOST:PORT."""
    target = request.split(maxsplit=2)[1]
    return target.rpartition(b"://")[2].partition(b"/")[0].partition(b":")[0]


@contextmanager
def _proxy(seen: Seen) -> Iterator[int]:
    """A listener that keeps the first bytes of every connection and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    said = connection.recv(300)
                if said and _host(said) not in OWN:
                    seen.asked.append(said)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
