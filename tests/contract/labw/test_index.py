"""labw against indexes that lie, are away, or are named in settings; and the locks against the real one."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.contract.labw.checkout import Checkout

pytestmark = pytest.mark.contract


def test_other_bytes_than_pinned_stop_with_9(checkout: Checkout) -> None:
    path = checkout.root / "requirements" / "run.txt"
    lines = path.read_text().splitlines()
    path.write_text(lines[0] + "\n    --hash=sha256:" + "0" * 64 + "\n")
    ended = checkout.run("x")
    assert ended.returncode == 9, ended.stderr
    assert "a package is not the pinned one" in ended.stderr
    assert checkout.environments() == []


def test_another_uv_than_pinned_stops_with_9(fresh: Checkout) -> None:
    path = fresh.root / "requirements" / "uv.txt"
    pin = next(line for line in path.read_text().splitlines() if line.startswith("uv=="))
    path.write_text(f"{pin}\n    --hash=sha256:{'0' * 64}\n")
    ended = fresh.run("x")
    assert ended.returncode == 9, ended.stderr
    assert "is not the pinned one" in ended.stderr
    assert list(fresh.kept.glob("uv-*")) == []


class Index(ThreadingHTTPServer):
    """A package index that has one wheel of uv, as mirrors serve it: a page of links."""

    daemon_threads = True

    def __init__(self, name: str, wheel: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.answers = {
            "/simple/uv/": f'<a href="../../files/{name}#sha256=0">{name}</a>'.encode(),
            f"/simple/uv/../../files/{name}": wheel,
            f"/files/{name}": wheel,
        }


class Page(BaseHTTPRequestHandler):
    """Serves the index's answers."""

    server: Index

    def do_GET(self) -> None:  # the base class's name
        body = self.server.answers.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class's name
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="the wheel is named for Linux")
@pytest.mark.parametrize("honest", [True, False])
def test_curl_serves_where_pip_cannot(checkout: Checkout, *, honest: bool) -> None:
    there = next(checkout.kept.glob("uv-*"))
    pin = (checkout.root / "requirements" / "uv.txt").read_text().partition("uv==")[2].split()[0]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        wheel.writestr(f"uv-{pin}.data/scripts/uv", there.read_bytes())
    there.unlink()
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    (checkout.root / "requirements" / "uv.txt").write_text(f"uv=={pin} \\\n    --hash=sha256:{digest}\n")
    (checkout.root / "requirements" / "run.txt").write_text("# nothing\n")
    name = f"uv-{pin}-py3-none-musllinux_1_1_{platform.machine()}.whl"
    with Index(name, packed.getvalue() + (b"" if honest else b"x")) as index:
        threading.Thread(target=index.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        address = f"http://127.0.0.1:{index.server_port}/simple/"
        ended = checkout.run("x", PIP_NO_INDEX="1", PIP_FIND_LINKS="", UV_DEFAULT_INDEX=address)
        index.shutdown()
    if honest:
        assert (ended.returncode, ended.stdout) == (0, "lab got ['x']\n"), ended.stderr
    else:
        assert ended.returncode == 9, ended.stderr
        assert "the uv wheel from this machine's index is not the pinned one" in ended.stderr
        assert list(checkout.kept.glob("uv-*")) == []


def test_an_unreachable_index_is_transient(fresh: Checkout) -> None:
    ended = fresh.run("x", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0", PIP_NO_INDEX="0")
    assert ended.returncode == 75, ended.stderr
    assert "run the command again" in ended.stderr


def test_the_machines_index_is_used_by_uv_too(checkout: Checkout, tmp_path: Path) -> None:
    """uv does not read pip.conf: labw hands its index over."""
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9/simple\n")
    cache = str(tmp_path / "empty-cache")
    ended = checkout.run("x", PIP_CONFIG_FILE=str(tmp_path / "pip.conf"), UV_CACHE_DIR=cache, UV_HTTP_RETRIES="0")
    assert ended.returncode == 75, ended.stderr
    assert "127.0.0.1:9" in ended.stderr


def test_the_locks_are_what_labw_lock_writes(whole: Checkout) -> None:
    """Whoever changed pyproject.toml also ran `./labw lock`."""
    folder = whole.root / "requirements"
    before = {path.name: path.read_text() for path in folder.iterdir()}
    ended = whole.run("lock")
    assert ended.returncode == 0, ended.stderr
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def interpreters() -> list[str]:
    """Every supported Python of this host, once a version."""
    found: dict[str, str] = {}
    places = [*Path("/usr/bin").glob("python3.1?"), *Path.home().glob(".pyenv/versions/3.1?.*/bin/python")]
    for place in [sys.executable, *map(str, places)]:
        asked = subprocess.run(
            [place, "-c", "import sys, ssl; print('%d.%d' % sys.version_info[:2])"], capture_output=True, check=False
        )
        version = asked.stdout.decode().strip()
        if asked.returncode == 0 and version in ("3.11", "3.12", "3.13", "3.14"):
            found.setdefault(version, place)
    return list(found.values())


@pytest.mark.parametrize("python", interpreters())
def test_the_run_lock_installs_in_a_second_from_a_warm_cache(whole: Checkout, tmp_path: Path, python: str) -> None:
    uv = next(whole.kept.glob("uv-*"))
    wall: list[float] = []
    cpu: list[float] = []
    for number in range(3):  # the first warms the cache
        env = tmp_path / f"env{number}"
        subprocess.run([uv, "venv", "-q", "--python", python, env], check=True, cwd=tmp_path)
        started, used = time.monotonic(), os.times()
        subprocess.run(
            [uv, "pip", "install", "-q", "--python", env / "bin/python", "--require-hashes", "-r", "run.txt"],
            check=True,
            cwd=whole.root / "requirements",
        )
        wall.append(time.monotonic() - started)
        cpu.append(os.times().children_user + os.times().children_system - used.children_user - used.children_system)
    print(f"{python}: {min(wall):.2f} s, {min(cpu):.2f} s of CPU")
    check = "import ansible, fabric, paramiko, psutil, rich, typer, yaml"
    subprocess.run([tmp_path / "env0/bin/python", "-W", "ignore", "-c", check], check=True)
    assert min(*wall, *cpu) < 1  # while others keep the machine busy, only the CPU time is this one's own
