"""A machine from a cloud image by URL and digest: the whole path once, then what is made of it. Emulated."""

from __future__ import annotations

import functools
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import debian_cloud
from tests.support import Ran, own_home, run_lab

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(5400)]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with own_home("cloud") as home:
        yield home


@pytest.fixture(scope="module")
def given() -> Iterator[tuple[str, str]]:
    """A URL and the digest of what is behind it."""
    path, digest = debian_cloud.image()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(path.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{path.name}", digest
        server.shutdown()
        thread.join()


def good(ran: Ran) -> Ran:
    assert ran.code == 0, ran.stderr[-3000:]
    return ran


def said(home: Path, name: str, *argv: str) -> str:
    return good(run_lab("exec", "--name", name, "--", *argv, home=home, limit_s=300)).stdout.strip()


def test_from_a_url_to_machines(home: Path, given: tuple[str, str], tmp_path: Path) -> None:
    url, digest = given
    how = ("--accel", "tcg", "--source", url, "--digest", digest)
    began = time.monotonic()
    good(run_lab("up", "first", *how, home=home, limit_s=3000))
    first_s = time.monotonic() - began

    # ours and nobody else's: nothing of the boot in which it was made is left
    assert said(home, "first", "findmnt", "-no", "SOURCE", "/") == "/dev/vda"
    assert "go1.26.1" in said(home, "first", "go", "version")
    assert "clang" in said(home, "first", "clang", "--version")
    left = "ls -d /var/lib/cloud /etc/ssh/lab_* /etc/ssh/sshd_config.d/10-lab.conf 2>/dev/null | wc -l"
    assert said(home, "first", "sh", "-c", left) == "0"
    assert said(home, "first", "systemctl", "is-enabled", "cloud-init.service") == "masked"

    began = time.monotonic()
    good(run_lab("up", "second", *how, home=home, limit_s=600))
    second_s = time.monotonic() - began
    assert said(home, "second", "cat", "/etc/hostname") == "second"
    assert said(home, "first", "cat", "/etc/machine-id") != said(home, "second", "cat", "/etc/machine-id")
    print(f"from the URL {first_s:.0f} s, from the cache {second_s:.1f} s")
    good(run_lab("down", "first", home=home, limit_s=300))

    ident = said(home, "second", "cat", "/etc/lab/image-id")
    packed = tmp_path / "golden.tar"
    exported = good(run_lab("cache", "export", ident, str(packed), "--json", home=home, limit_s=900))
    handed = ("--accel", "tcg", "--source", str(packed), "--digest", json.loads(exported.stdout)["digest"])
    good(run_lab("up", "third", *handed, home=home, limit_s=900))
    assert "go1.26.1" in said(home, "third", "go", "version")
    assert said(home, "third", "cat", "/etc/lab/image-id") != ident  # made of another file
