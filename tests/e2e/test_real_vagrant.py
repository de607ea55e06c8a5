"""Machines by real Vagrant and libvirt: killed and finished, made from a box by URL, and nothing of them left.

Needs what `lab doctor --install --provider vagrant` installs; libvirt is started here where it does not run. The box is
tests/debian_box.py's: plain Debian, a kernel and a loader of its own.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.machines.providers.vagrant import libvirt as vagrant_libvirt
from lab.model.paths import Paths
from tests import debian_box
from tests.support import ROOT, Ran, lab_at, own_home, run_lab

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(3000)]
UP_S = 1500
SECOND_UP_S = 1.5
BUSY = 3.0  # this suite shares two cores with whatever else runs
VAGRANT = ("--provider", "vagrant")


@pytest.fixture(scope="module", autouse=True)
def libvirt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    lab = lab_at(tmp_path_factory.mktemp("nobody"))
    if not vagrant_libvirt.reachable(lab):
        yield
        return
    daemons = subprocess.Popen([sys.executable, "-m", "tests.libvirtd"], cwd=ROOT)
    try:
        ends = time.monotonic() + 60
        while vagrant_libvirt.reachable(lab):
            assert time.monotonic() < ends, "libvirt did not come up"
            time.sleep(0.3)
        yield
    finally:
        daemons.terminate()
        daemons.wait(60)


@pytest.fixture
def home() -> Iterator[Path]:
    with own_home("vagrant") as home:
        yield home


def everything() -> dict[str, list[str]]:
    """All that libvirt and Vagrant have, of anybody."""
    asked = {
        what: ["virsh", "-q", "-c", vagrant_libvirt.URI, f"{what}-list", "--all", "--name"] for what in ("pool", "net")
    }
    asked["domain"] = ["virsh", "-q", "-c", vagrant_libvirt.URI, "list", "--all", "--name"]
    asked["box"] = ["vagrant", "box", "list"]
    told = {
        what: subprocess.run(argv, capture_output=True, text=True, check=True).stdout for what, argv in asked.items()
    }
    return {what: sorted(text.split("\n")) for what, text in told.items()} | {
        "storage": sorted(path.name for path in Path(vagrant_libvirt.POOLS).iterdir())
    }


def killed_after(seconds: float, *argv: str, home: Path) -> bool:
    """`lab ARGV`, killed with SIGKILL after so long; False when it had ended before."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LAB_")}
    environment = {**clean, "LAB_HOME": str(home), "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        [sys.executable, "-m", "lab", *argv], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait()
        return True
    return False


def good(ran: Ran) -> Ran:
    assert ran.code == 0, ran.stderr[-3000:]
    return ran


def test_killed_anywhere_the_same_command_goes_on(home: Path) -> None:
    before = everything()
    instants = random.Random(seed := random.randrange(1 << 20))
    print("seed", seed)
    for _ in range(4):
        moment = instants.uniform(0.3, 25.0)
        print(f"up killed after {moment:.1f} s:", killed_after(moment, "up", "talk", *VAGRANT, home=home))
    good(run_lab("up", "talk", *VAGRANT, home=home, limit_s=UP_S))
    seen = json.loads(good(run_lab("status", "talk", "--json", home=home)).stdout)
    assert "running" in json.dumps(seen)
    began = time.monotonic()
    again = good(run_lab("up", "talk", *VAGRANT, home=home, limit_s=60))
    assert time.monotonic() - began < SECOND_UP_S * BUSY
    assert "already ready" in again.stdout + again.stderr
    assert good(run_lab("exec", "--name", "talk", "--", "cat", "/etc/hostname", home=home)).stdout.strip() == "talk"
    for _ in range(2):
        moment = instants.uniform(0.3, 5.0)
        print(f"down killed after {moment:.1f} s:", killed_after(moment, "down", "talk", home=home))
    good(run_lab("down", "talk", home=home, limit_s=300))
    assert everything() == before
    assert list(Paths(home=home).machines.iterdir()) == []


def test_vagrants_own_snapshot_is_gone_on_from_and_leaves_nothing(home: Path) -> None:
    before = everything()
    good(run_lab("up", "talk", *VAGRANT, home=home, limit_s=UP_S))
    shell = ("exec", "--name", "talk", "--", "sh", "-c")
    boot = good(run_lab(*shell, "echo kept > /run/word; cat /proc/sys/kernel/random/boot_id", home=home)).stdout
    for _ in range(2):  # the second replaces the first
        good(run_lab("snapshot", "talk", home=home, limit_s=300))
    good(run_lab(*shell, "rm /run/word; echo later > /root/later", home=home))
    virsh = ("virsh", "-q", "-c", vagrant_libvirt.URI)
    names = subprocess.run([*virsh, "list", "--name"], capture_output=True, text=True, check=True).stdout.split()
    (domain,) = (each for each in names if each.endswith("-talk"))
    for running in (True, False):
        if not running:
            subprocess.run([*virsh, "destroy", domain], check=True)
        ran = good(run_lab("restore", "talk", "--no-fallback", "--json", home=home, limit_s=300))
        assert json.loads(ran.stdout.splitlines()[-1])["result"]["restored"]
        told = good(run_lab(*shell, "cat /run/word /proc/sys/kernel/random/boot_id; ls /root", home=home)).stdout
        assert told == f"kept\n{boot}"
    record = Paths(home=home).machine("talk") / "snapshots/ready.json"
    record.write_text(record.read_text(encoding="utf-8").replace("Nehalem", "Penryn"), encoding="utf-8")
    ran = good(run_lab("restore", "talk", home=home, limit_s=UP_S))
    assert "cpu was Penryn" in ran.stderr
    assert good(run_lab(*shell, "cat /proc/sys/kernel/random/boot_id", home=home)).stdout != boot
    good(run_lab("down", "talk", home=home, limit_s=300))
    assert everything() == before


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, str]]:
    """The box's URL on loopback and its digest."""
    path, digest = debian_box.box()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=path.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{path.name}", digest
        server.shutdown()


def test_a_box_by_url_becomes_a_lab_machine(home: Path, served: tuple[str, str]) -> None:
    url, digest = served
    before = everything()
    wrong = run_lab("up", "talk", *VAGRANT, "--source", url, "--digest", "sha256:" + "0" * 64, home=home, limit_s=300)
    assert wrong.code == 9
    assert "it was not used" in wrong.stdout + wrong.stderr
    assert everything() == before
    run_lab("down", "talk", home=home)
    good(run_lab("up", "talk", *VAGRANT, "--source", url, "--digest", digest, home=home, limit_s=UP_S))
    told = good(run_lab("exec", "--name", "talk", "--", "sh", "-c", "id -u; bpftool version; uname -r", home=home))
    assert told.stdout.splitlines()[0] == "0", "commands run as root"
    good(run_lab("down", "talk", home=home, limit_s=300))
    assert everything() == before
