"""A machine from a cloud image by URL and digest: the whole path once, then what is made of it. Emulated.

On a host that has nothing of what bakes images, since that is whom the path is for.
"""

from __future__ import annotations

import functools
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import bare_host, debian_cloud
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


def good(home: Path, *argv: str, limit_s: float = 300) -> Ran:
    ran = run_lab(*argv, home=home, limit_s=limit_s, under=bare_host.prefix())
    assert ran.code == 0, ran.stderr[-3000:]
    return ran


def said(home: Path, name: str, *argv: str) -> str:
    return good(home, "exec", "--name", name, "--", *argv).stdout.strip()


def test_from_a_url_to_machines(home: Path, given: tuple[str, str], tmp_path: Path) -> None:
    url, digest = given
    how = ("--accel", "tcg", "--source", url, "--digest", digest)
    began = time.monotonic()
    good(home, "up", "first", *how, limit_s=3000)
    first_s = time.monotonic() - began

    # ours and nobody else's: nothing of the boot in which it was made is left
    assert said(home, "first", "findmnt", "-no", "SOURCE", "/") == "/dev/vda"
    assert "go1.26.1" in said(home, "first", "go", "version")
    assert "clang" in said(home, "first", "clang", "--version")
    left = "ls -d /var/lib/cloud /etc/ssh/lab_* /etc/ssh/sshd_config.d/10-lab.conf 2>/dev/null | wc -l"
    assert said(home, "first", "sh", "-c", left) == "0"
    assert said(home, "first", "sh", "-c", "systemctl is-enabled cloud-init.service; true") == "masked"

    began = time.monotonic()
    good(home, "up", "second", *how, limit_s=600)
    second_s = time.monotonic() - began
    assert said(home, "second", "cat", "/etc/hostname") == "second"
    assert said(home, "first", "cat", "/etc/machine-id") != said(home, "second", "cat", "/etc/machine-id")
    print(f"from the URL {first_s:.0f} s, from the cache {second_s:.1f} s")
    good(home, "down", "first")

    findings = good(home, "doctor", "--json", *how).stdout
    assert "mmdebstrap" not in findings, "a host that bakes nothing needs nothing to bake with"
    forms = ("--form", "baseline,orchestrion-otel", "--profile", "quick", "--yes")
    ran = run_lab("demo", "--name", "second", *how, *forms, home=home, limit_s=1500, under=bare_host.prefix())
    assert ran.code in {0, 6}, ran.stderr[-3000:]  # 6: a busy host made a cell INVALID
    assert [path.name for path in (home / "runs").iterdir()] != []
    assert said(home, "second", "sh", "-c", "ls -d /sys/block/vd* | wc -l") == "1", "nothing was made a disk of"

    ident = said(home, "second", "cat", "/etc/lab/image-id")
    packed = tmp_path / "golden.tar"
    exported = good(home, "cache", "export", ident, str(packed), "--json", limit_s=900)
    told = json.loads(exported.stdout.splitlines()[-1])["digest"]
    handed = ("--accel", "tcg", "--source", str(packed), "--digest", told)
    good(home, "up", "third", *handed, limit_s=900)
    assert "go1.26.1" in said(home, "third", "go", "version")
    assert said(home, "third", "cat", "/etc/lab/image-id") != ident  # made of another file
