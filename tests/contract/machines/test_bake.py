"""A real, smaller image: made by two bakers at once after a killed third, then looked into without mounting it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lab.machines.images import image
from lab.machines.images import seal as image_seal
from lab.model.errors import SecurityStop
from tests.support import pinned_go

# two more bakes than the shared image needs: minutes that the vm tier keeps for machines
pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]

PACKAGES = ("kmod", "linux-image-cloud-amd64", "openssh-server", "python3", "systemd-sysv")
BAKER = """
import json, sys
from pathlib import Path
from lab.machines.images.image import bake
from lab.machines.images.rootfs import ImageSpec
from lab.model.config import Config
from lab.model.events import Bus, StepStarted
from lab.model.lab import Lab
from lab.model.paths import Paths

home, go_root, packages = sys.argv[1:]
steps = []
def note(record):
    if isinstance(record.event, StepStarted):
        print(record.event.name, flush=True)
lab = Lab(config=Config(), paths=Paths(home=Path(home)), bus=Bus((note,)))
spec = ImageSpec(suite="bookworm", arch="x86_64", disk_gib=4, packages=tuple(packages.split(",")),
                 go_root=Path(go_root), with_go=False)
made = bake(lab, spec)
print(json.dumps({"id": made.id, "directory": str(made.directory)}), flush=True)
"""


@pytest.fixture(scope="module")
def go_root() -> str:
    return str(pinned_go().root)


def baker(home: Path, go_root: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", BAKER, str(home), go_root, ",".join(PACKAGES)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def working_in(home: Path) -> list[str]:
    """Processes of any kind whose command line names `home`."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(str(home) in word for word in words) and process.pid != os.getpid():
            found.append(" ".join(words)[:100])
    return found


def settings() -> str:
    """The host's kernel settings that a package or a playbook might set, as they are now."""
    names = ("vm", "kernel.kptr_restrict", "kernel.perf_event_paranoid", "kernel.hostname", "kernel.printk", "net.core")
    argv = ["sysctl", "-a", "--pattern", "^(" + "|".join(name.replace(".", r"\.") for name in names) + ")"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, go_root: str) -> image.Image:
    home = tmp_path_factory.mktemp("home")
    before = settings()
    with baker(home, go_root) as killed:
        assert killed.stdout is not None
        seen = [killed.stdout.readline().strip() for _ in range(2)]
        assert seen == ["image", "image.packages"]
        tree = next(iter((home / "cache/images").glob("baking-*"))) / "tree"
        deadline = time.monotonic() + 60
        while not (tree / "usr").is_dir():  # in the middle of unpacking Debian
            assert time.monotonic() < deadline, "no tree appeared"
            time.sleep(0.2)
        killed.kill()
    deadline = time.monotonic() + 10
    while left := working_in(home):
        assert time.monotonic() < deadline, f"a killed baker left {left}"
        time.sleep(0.1)
    assert not list((home / "cache/images").glob("[!b]*")), "a killed baker published something"
    with baker(home, go_root) as first, baker(home, go_root) as second:
        outputs = [process.communicate(timeout=500) for process in (first, second)]
        assert [process.returncode for process in (first, second)] == [0, 0], outputs
    answers = [json.loads(out.splitlines()[-1]) for out, _ in outputs]
    assert answers[0] == answers[1]
    assert sorted(out.count("image.packages") for out, _ in outputs) == [0, 1], "one made it, the other found it"
    assert settings() == before, "making an image changed the host's kernel"
    directory = Path(answers[0]["directory"])
    assert [path.name for path in directory.parent.iterdir()] == [directory.name]
    return image.Image(id=answers[0]["id"], directory=directory, digests=image_seal.check(directory))


def on_disk(made: image.Image, request: str) -> str:
    """What debugfs says about the disk, read-only and without a mount."""
    argv = ["/sbin/debugfs", "-R", request, str(made.disk)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_the_file_system_is_whole(made: image.Image) -> None:
    done = subprocess.run(["/sbin/e2fsck", "-fn", str(made.disk)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_disk_knows_which_image_it_is(made: image.Image) -> None:
    assert on_disk(made, "cat /etc/lab/image-id").strip() == made.id


@pytest.mark.parametrize(
    "place",
    [
        "/etc/ssh/ssh_host_ed25519_key",
        "/etc/ssh/ssh_host_rsa_key",
        "/etc/machine-id",
        "/etc/hostname",
        "/etc/apt/apt.conf.d/99mmdebstrap",
        "/root/.ssh/authorized_keys",
    ],
)
def test_nothing_of_one_machine_or_of_this_host_is_in_it(made: image.Image, place: str) -> None:
    assert "Inode:" not in on_disk(made, f"stat {place}")
    assert "Inode:" in on_disk(made, "stat /etc/passwd"), "debugfs says nothing at all"


def test_the_playbooks_files_are_in_it(made: image.Image) -> None:
    assert "Mode:  0755" in on_disk(made, "stat /usr/lib/lab/lab-init")
    assert "kernel.kptr_restrict" in on_disk(made, "cat /etc/sysctl.d/60-lab.conf")
    assert '"/dev/null"' in on_disk(made, "stat /etc/systemd/system/systemd-udevd.service")


def test_the_seal_lists_what_was_installed(made: image.Image) -> None:
    sealed = image_seal.read_seal(made.directory)
    assert sealed is not None
    assert set(PACKAGES) <= set(sealed["packages"])
    assert "@" not in sealed["sources"]
    assert made.kernel.read_bytes()[:4] == b"\x7fELF"


def test_planted_corruption_is_found(made: image.Image) -> None:
    with made.disk.open("r+b") as file:
        file.seek(made.disk.stat().st_size // 3)
        file.write(b"planted")
    with pytest.raises(SecurityStop, match=r"disk\.raw has digest"):
        image_seal.check(made.directory)
