"""The case state-handle-empty: whatever is on disk, `lab down` works, and leaves no process; `lab status` says why."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab.machines import journal, keys, lifecycle, removal, state
from lab.machines.providers import PROVIDERS, local, qemu, ssh
from lab.model.errors import ConfigError, LabError, ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import Machine, MachineSpec, Seed
from lab.system import proc
from tests.support import lab_at

REST: dict[str, Any] = {"endpoint": None, "image_id": "", "accel": "", "ready_boot_id": ""}
HANDLE: dict[str, Any] = {"provider": "qemu", "name": "m", "machine_id": "0123456789abcdef" * 2, "data": {}}
WHOLE: dict[str, Any] = {"schema": 1, "spec": {"name": "m"}, "handle": HANDLE, **REST}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return lab_at(tmp_path / "home")


@pytest.fixture
def folder(lab: Lab) -> Path:
    """Of a machine m and, beside it, a whole one that is always shown."""
    state.save(lab, Machine(spec=MachineSpec(name="other")))
    directory = lab.paths.machine("m")
    directory.mkdir(parents=True)
    return directory


def written(doc: object, name: str = "machine.json") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_text(doc if isinstance(doc, str) else json.dumps(doc))

    return write


def with_handle(**values: Any) -> Callable[[Path], None]:
    return written({**WHOLE, "handle": {**HANDLE, **values}})


def a_folder(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).mkdir()
        (folder / name / "deep").write_text("x")

    return make


def deep_journal(folder: Path) -> None:
    (folder / "journal.jsonl").write_text("[" * 100_000 + "\n")


def a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "machine.json")


def no_key(folder: Path) -> None:
    (folder / "host_ed25519").write_text("no key")


def binary(folder: Path) -> None:
    (folder / "machine.json").write_bytes(bytes(range(256)))


BROKEN: dict[str, Callable[[Path], None]] = {
    "the case": written(WHOLE),
    "empty": written(""),
    "torn": written('{"schema": 1, "spec": {"na'),
    "binary": binary,
    "a list": written("[]"),
    "deep": written("[" * 100_000),
    "huge": written(" " * (17 << 20)),
    "no schema": written({"spec": {}}),
    "no spec": written({"schema": 1}),
    "spec of another type": written({**WHOLE, "spec": [1]}),
    "cpus of another type": written({**WHOLE, "spec": {"name": "m", "cpus": "many"}}),
    "another machine's": written({**WHOLE, "spec": {"name": "other"}}),
    "an unknown provider": written({**WHOLE, "spec": {"name": "m", "provider": "cloud9"}}),
    "a handle of an unknown provider": with_handle(provider="cloud9"),
    "a handle of another provider": with_handle(provider="local"),
    "an id that is none": with_handle(machine_id="../../x"),
    "data of another type": with_handle(data=[]),
    "a folder elsewhere": with_handle(data={"directory": "/etc", "run_dir": "/etc", "uuid": "x"}),
    "an endpoint without keys": written({**WHOLE, "handle": None, "endpoint": {"kind": "ssh"}}),
    "a port that is none": written({**WHOLE, "handle": None, "endpoint": {"kind": "ssh", "port": -1}}),
    "half a character": written('{"schema": 1, "spec": {"name": "m", "image": "\\ud800"}}'),
    "a newer schema": written({**WHOLE, "schema": 99}),
    "a folder for machine.json": a_folder("machine.json"),
    "a folder for journal.jsonl": a_folder("journal.jsonl"),
    "a folder for the lock": a_folder("lock"),
    "a folder for its holder": a_folder("lock.holder"),
    "a folder for the host key": a_folder("host_ed25519"),
    "a folder for the disk": a_folder("disk.qcow2"),
    "a pipe for machine.json": a_pipe,
    "a deep journal": deep_journal,
    "a host key that is none": no_key,
    "host.json that is none": written({"endpoint": {}}, "host.json"),
}
posix = pytest.mark.skipif(sys.platform == "win32", reason="folders and pipes of POSIX")


@posix
@pytest.mark.parametrize("act", BROKEN.values(), ids=BROKEN)
def test_state_handle_empty(lab: Lab, folder: Path, act: Callable[[Path], None]) -> None:
    act(folder)
    seen = {name: lifecycle.glance(lab, name) for name in lifecycle.names(lab)}
    assert seen["other"].reason == "not made yet"
    if (folder / "machine.json").exists():
        assert seen["m"].phase == "broken"
        assert "machine.json" in seen["m"].reason
        assert "lab down m" in seen["m"].reason
        with pytest.raises(LabError):
            lifecycle.ssh_argv(lab, "m")
    lifecycle.down(lab, "m")
    assert not folder.exists()
    assert lifecycle.names(lab) == ["other"]
    assert not lifecycle.down(lab, "m")


@posix
def test_state_handle_empty_all_are_removed_but_the_one_that_cannot_be(
    lab: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(WHOLE)(folder)
    refused = ProvisioningError("not now", fix="later")

    def refuse(*_: object) -> None:
        raise refused

    monkeypatch.setattr(qemu, "delete", refuse)
    state.save(lab, Machine(spec=MachineSpec(name="z")))
    with pytest.raises(ProvisioningError) as caught:
        removal.down_each(lab, lifecycle.names(lab))
    assert caught.value is refused
    assert lifecycle.names(lab) == ["m"]


def test_state_handle_empty_a_newer_labs_state_is_not_overwritten(lab: Lab, folder: Path) -> None:
    written({**WHOLE, "schema": 99})(folder)
    with pytest.raises(ConfigError, match="written by a newer lab") as caught:
        lifecycle.up(lab, MachineSpec(name="m"), lock_timeout_s=1)
    assert "lab down m" in caught.value.fix


@posix
@pytest.mark.parametrize("name", ["machine.json", "journal.jsonl", "host_ed25519"])
def test_state_handle_empty_up_says_what_to_do(lab: Lab, folder: Path, name: str) -> None:
    a_folder(name)(folder)
    with pytest.raises(ProvisioningError, match=f"{name} is not a plain file") as caught:
        lifecycle.up(lab, MachineSpec(name="m"), lock_timeout_s=1)
    assert caught.value.fix == "lab down m"


def test_state_handle_empty_a_key_that_is_none_is_told(lab: Lab, folder: Path) -> None:
    no_key(folder)
    with pytest.raises(LabError, match="host_ed25519 cannot be read: not a private key") as caught:
        keys.seed(folder)
    assert caught.value.fix == "lab down m"


def test_state_handle_empty_the_generation_before_is_used(lab: Lab, folder: Path) -> None:
    machine = state.save(lab, Machine(spec=MachineSpec(name="m"), image_id="first"))
    state.save(lab, Machine(spec=MachineSpec(name="m"), image_id="second"))
    written(WHOLE)(folder)
    assert state.load(lab, "m") == machine


def test_state_handle_empty_a_journal_with_one_deep_line_still_tells(lab: Lab, folder: Path) -> None:
    deep_journal(folder)
    with (folder / "journal.jsonl").open("a") as file:
        file.write('{"at": 1, "command": "up", "step": "start", "state": "intent"}\n')
    assert journal.interrupted(journal.read(lab, "m")) == "start"


# --- processes: found by their own means -----------------------------------------------------------------------------


@pytest.fixture
def running(folder: Path) -> Iterator[tuple[Seed, subprocess.Popen[bytes]]]:
    """A real QEMU with this machine's id and disk; there is no guest in it."""
    program = proc.which("qemu-system-x86_64")
    if program is None:
        pytest.skip("QEMU is not installed")
    seed = keys.seed(folder)
    disk = folder / "disk.qcow2"
    disk.write_bytes(bytes(1 << 20))
    argv = [
        str(program),
        "-machine",
        "none",
        "-nodefaults",
        "-display",
        "none",
        "-uuid",
        str(uuid.UUID(seed.machine_id)),
    ]
    argv += ["-blockdev", f"driver=file,node-name=disk,filename={disk}"]
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    for _ in range(400):
        if any(file.path == str(disk) for file in psutil.Process(child.pid).open_files()):
            break
        time.sleep(0.05)
    yield seed, child
    child.kill()
    child.wait()


def lost(folder: Path) -> None:
    """Only the disk and the keys are left."""


def lost_with_its_key(folder: Path) -> None:
    (folder / "host_ed25519").unlink()


def its_key_is_none(folder: Path) -> None:
    no_key(folder)
    written({**WHOLE, "handle": {**HANDLE, "machine_id": "f" * 32}})(folder)


def another_key(folder: Path) -> None:
    (folder / "host_ed25519").unlink()
    keys.seed(folder)


def emptied(folder: Path) -> None:
    """What people did who could not get out: rm -r."""
    shutil.rmtree(folder)


@posix
@pytest.mark.parametrize("act", [lost, lost_with_its_key, its_key_is_none, another_key, emptied])
def test_state_handle_empty_leaves_no_qemu(
    lab: Lab, folder: Path, running: tuple[Seed, subprocess.Popen[bytes]], act: Callable[[Path], None]
) -> None:
    seed, child = running
    act(folder)
    assert qemu.find(folder) == (seed.machine_id,)
    if act is not emptied:
        assert lifecycle.glance(lab, "m").phase == "broken"
    assert lifecycle.down(lab, "m")
    assert child.wait(timeout=10) is not None
    assert not folder.exists()


@posix
def test_state_handle_empty_takes_no_other_machines_qemu(
    lab: Lab, folder: Path, running: tuple[Seed, subprocess.Popen[bytes]]
) -> None:
    no_key(lab.paths.machine("other"))
    assert lifecycle.down(lab, "other")
    assert running[1].poll() is None


@posix
def test_state_handle_empty_a_run_folder_that_is_another_is_left(lab: Lab, folder: Path, tmp_path: Path) -> None:
    """What machine.json calls the folder of QEMU's socket is removed only where it is called so."""
    dear = tmp_path / "dear"
    dear.mkdir()
    handle = qemu.recover(keys.seed(folder), "m", folder)
    handle.data.update(run_dir=str(dear), arch="x86_64", cpus=1, memory_mib=1, kernel="/k")
    state.save(lab, Machine(spec=MachineSpec(name="m"), handle=handle))
    assert lifecycle.down(lab, "m")
    assert dear.is_dir()


@posix
def test_state_handle_empty_a_link_is_removed_and_not_what_it_leads_to(lab: Lab, folder: Path, tmp_path: Path) -> None:
    dear = tmp_path / "dear"
    (dear / ".config").mkdir(parents=True)
    (dear / "letter").write_text("x")
    folder.rmdir()
    folder.symlink_to(dear)
    assert lifecycle.down(lab, "m")
    assert not folder.is_symlink()
    assert (dear / "letter").exists()
    assert (dear / ".config").is_dir()


@posix
def test_state_handle_empty_a_file_in_the_place_of_the_folder(lab: Lab, folder: Path) -> None:
    folder.rmdir()
    folder.write_text("x")
    assert lifecycle.down(lab, "m")
    assert not folder.exists()


# --- other providers -------------------------------------------------------------------------------------------------


def test_state_handle_empty_a_lost_claim_of_this_host_is_found(
    lab: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local, "OWNER_FILE", tmp_path / "claim.json")
    for text in ("", "[]", '{"machine_id": 1}', "[" * 100_000):
        local.OWNER_FILE.write_text(text)
        assert local.find(folder) == ()
    claim = {"machine_id": "a" * 32, "directory": str(folder), "boot_id": "b"}
    local.OWNER_FILE.write_text(json.dumps(claim))
    assert local.find(folder) == ("a" * 32,)


def test_state_handle_empty_every_provider_checks_its_data() -> None:
    for name, provider in PROVIDERS.items():
        assert "directory" in {item.name for item in dataclasses.fields(provider.DATA)}, name


def test_state_handle_empty_a_host_that_cannot_be_given_back_is_told(lab: Lab, folder: Path) -> None:
    (folder / ssh.HOST_FILE).write_text("{")
    told: list[str] = []
    lab.bus.add(lambda record: told.append(str(getattr(record.event, "text", ""))))
    seed = keys.seed(folder)
    ssh.delete(lab, ssh.recover(seed, "m", folder))
    assert any("could not be given back" in text for text in told)
    assert not (folder / ssh.HOST_FILE).exists()
