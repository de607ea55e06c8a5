"""Artifacts into a machine: one disk per content, nothing sent twice, never a half-written image."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.flows import deliver as delivering
from lab.flows.deliver import deliver, disk
from lab.machines import disks_in_use
from lab.model.errors import PreconditionError, ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import LocalEndpoint, Machine, MachineSpec, SshEndpoint
from lab.remote.localhost import LocalTransport
from lab.system import ext4, proc
from lab.system.wait import Deadline
from tests.support import lab_at

FILES = {"bin/shop": bytes(range(256)) * 40, "notes.txt": b"hello\n", "empty": b""}


class Counting(LocalTransport):
    """The local transport, which counts the files it was given."""

    puts = 0

    def put(self, source: Path, target: str, deadline: Deadline, *, mode: int = 0o644) -> None:
        self.puts += 1
        super().put(source, target, deadline, mode=mode)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return lab_at(tmp_path / "home")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "bin/shop").chmod(0o755)
    return root


def told(image: Path, question: str) -> str:
    """What is in an ext4 image, read without mounting it; bytes as Latin-1."""
    argv = [proc.require_tool("debugfs"), "-R", question, str(image)]
    return subprocess.run(argv, check=True, capture_output=True).stdout.decode("latin-1")


def on_disk(image: Path, name: str) -> bytes:
    return told(image, f"cat /{name}").encode("latin-1")


def test_a_disk_holds_the_tree_and_is_made_once(lab: Lab, tree: Path) -> None:
    image = disk(lab, tree, "d1")
    assert {name: on_disk(image, name) for name in FILES} == FILES
    assert "Mode:  0755" in told(image, "stat /bin/shop")
    assert re.search(r"User: +0 +Group: +0 ", told(image, "stat /"))
    assert image.stat().st_mode & 0o777 == 0o400
    os.utime(image, ns=(1, image.stat().st_mtime_ns))
    made = image.stat()
    again = disk(lab, tree, "d1").stat()
    assert (again.st_ino, again.st_mtime_ns) == (made.st_ino, made.st_mtime_ns), "a snapshot knows it by these"
    assert again.st_atime_ns > made.st_atime_ns, "by which the disks to keep are chosen"
    assert not list(image.parent.glob("*.part"))


def test_what_a_kill_left_is_made_again(lab: Lab, tree: Path) -> None:
    folder = lab.paths.artifacts / "disks"
    folder.mkdir(parents=True)
    (folder / "d1.part").write_bytes(b"half")
    assert on_disk(disk(lab, tree, "d1"), "notes.txt") == FILES["notes.txt"]


def test_a_disk_that_cannot_be_made_is_an_error_and_no_image(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(ProvisioningError, match="mke2fs failed") as caught:
        disk(lab, tmp_path / "no-such-tree", "d1")
    assert caught.value.fix
    assert not (lab.paths.artifacts / "disks" / "d1.ext4").exists()


def test_too_little_room_names_what_is_needed_and_free(lab: Lab, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage(tree).free
    monkeypatch.setattr(ext4, "SLACK", 2.0 * free / sum(map(len, FILES.values())))
    with pytest.raises(PreconditionError, match=r"has \d+ bytes free, the artifact disk needs \d+") as caught:
        disk(lab, tree, "d1")
    assert caught.value.fix == "lab cache prune"


def test_only_the_newest_disks_stay(lab: Lab, tree: Path) -> None:
    folder = lab.paths.artifacts / "disks"
    folder.mkdir(parents=True)
    for age in range(delivering.KEEP_DISKS + 2):
        old = folder / f"old{age}.ext4"
        old.write_bytes(b"")
        os.utime(old, (1000 - age, 1000 - age))
    disk(lab, tree, "new")
    assert {path.stem for path in folder.glob("*.ext4")} == {"new", "old0", "old1", "old2"}


def machine_without_disks(tmp_path: Path) -> Machine:
    """A machine behind SSH whose provider has no disks: files are sent one by one."""
    endpoint = SshEndpoint(host="127.0.0.1", port=1, user="lab", identity_file=tmp_path / "key", host_key="")
    return Machine(spec=MachineSpec(provider="local"), endpoint=endpoint)


def test_files_are_sent_once_and_marked_whole_at_the_end(lab: Lab, tree: Path, tmp_path: Path) -> None:
    machine, transport = machine_without_disks(tmp_path), Counting(lab)
    root = str(tmp_path / "there")
    digest = "0123456789abcdef0123"
    at, mount = deliver(lab, machine, transport, root, tree, digest, Deadline.after(60))
    assert deliver(lab, machine, transport, root, tree, digest, Deadline.after(60)) == (at, mount)
    assert transport.puts == len(FILES)
    assert at == f"{root}/artifacts/0123456789abcdef"
    assert mount == ()
    assert {name: (Path(at) / name).read_bytes() for name in FILES} == FILES
    assert (Path(at) / "bin/shop").stat().st_mode & 0o777 == 0o700  # this very host: others live here too
    assert (Path(at) / "notes.txt").stat().st_mode & 0o777 == 0o600


def test_a_sending_that_was_cut_is_done_again(lab: Lab, tree: Path, tmp_path: Path) -> None:
    machine, transport = machine_without_disks(tmp_path), Counting(lab)
    root = str(tmp_path / "there")
    cut = tmp_path / "there/artifacts/d/bin/shop"
    cut.parent.mkdir(parents=True)
    cut.write_bytes(b"half")
    at, _ = deliver(lab, machine, transport, root, tree, "d", Deadline.after(60))
    assert (Path(at) / "bin/shop").read_bytes() == FILES["bin/shop"]


def test_on_this_linux_nothing_is_copied(lab: Lab, tree: Path) -> None:
    machine = Machine(spec=MachineSpec(provider="local"), endpoint=LocalEndpoint())
    transport = Counting(lab)
    assert deliver(lab, machine, transport, "/nowhere", tree, "d", Deadline.after(60)) == (str(tree), ())
    assert transport.puts == 0


def test_on_windows_a_program_is_known_by_its_first_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.system.tool_paths.PLATFORM", "win32")
    for name, content, program in (
        ("shop", b"\x7fELF\x02", True),
        ("run", b"#!/bin/sh\n", True),
        ("a.yaml", b"", False),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(0o644)
        assert delivering._is_program(path) is program


def test_a_disk_that_a_machine_or_a_snapshot_needs_stays(lab: Lab, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = disk(lab, tree, "stage")
    monkeypatch.setattr(disks_in_use, "names", lambda _: {"stage.ext4"})
    for number in range(delivering.KEEP_DISKS + 1):
        os.utime(first, ns=(number, first.stat().st_mtime_ns))
        disk(lab, tree, f"other{number}")
    stays = {path.stem for path in first.parent.glob("*.ext4")}
    assert "stage" in stays
    assert len(stays) == delivering.KEEP_DISKS + 1
    made = first.stat().st_mtime_ns
    assert disk(lab, tree, "stage").stat().st_mtime_ns == made, "with what says that it is whole"
