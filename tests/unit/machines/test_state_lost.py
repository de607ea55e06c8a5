"""The case state-handle-empty, where nothing tells any more who a machine is: it is found by its own means."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lab.machines import keys, lifecycle, state
from lab.machines.providers import PROVIDERS
from lab.machines.providers.local import provider as local
from lab.machines.providers.qemu import provider as qemu
from lab.machines.providers.ssh import provider as ssh
from lab.model.lab import Lab
from lab.model.machine import Machine, MachineSpec, Seed
from lab.system import proc
from tests.support import absent
from tests.unit.machines.broken import (
    HANDLE,
    WHOLE,
    no_key,
    posix,
    written,
)

# --- processes: found by their own means -----------------------------------------------------------------------------


@pytest.fixture
def running(folder: Path) -> Iterator[tuple[Seed, subprocess.Popen[bytes]]]:
    """A real QEMU with this machine's id and disk; there is no guest in it."""
    program = proc.which("qemu-system-x86_64")
    if program is None:
        absent("QEMU is not installed")
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
    assert [handle.machine_id for handle in qemu.lost(lab.paths.machines)] == [seed.machine_id]
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
    handle = dataclasses.replace(qemu.recover(keys.seed(folder), "m", folder), run_dir=str(dear), kernel="/k")
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
        assert local.lost(lab.paths.machines) == []
    claim = {"machine_id": "a" * 32, "directory": str(folder), "boot_id": "b"}
    local.OWNER_FILE.write_text(json.dumps(claim))
    assert [handle.machine_id for handle in local.lost(lab.paths.machines)] == ["a" * 32]


ID = "0123456789abcdef" * 2
KEY = {"identity": "/k", "host_key": "ssh-ed25519 A"}
WHERE = {"host": "h", "port": 22, "user": "u", "identity_file": None, "host_key": "ssh-ed25519 A", "become": True}
EARLIER: dict[str, dict[str, object]] = {  # what `handle.data` was when it had no types
    "qemu": json.loads((Path(__file__).parent / "recorded_machine.json").read_text())["handle"]["data"],
    "local": {"directory": "/m", "claimed": "b"},
    "ssh": {"directory": "/m", "endpoint": WHERE, "accel": "tcg", "address": "u@h", "machine_id": ID},
    "vagrant": {"directory": "/m", "uuid": "u", **KEY, "driver": "libvirt", "accel": "tcg", "image_id": ""},
    "lima": {"directory": "/m", "instance": "lab-0", "host_key": "ssh-ed25519 A", "accel": "tcg"},
    "aws": {"directory": "/m", "host_key": "ssh-ed25519 A", "accel": "none"},
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_state_handle_empty_what_an_earlier_lab_wrote_is_read(lab: Lab, folder: Path, provider: str) -> None:
    handle = {"provider": provider, "name": "m", "machine_id": ID, "data": EARLIER[provider]}
    written({**WHOLE, "spec": {"name": "m", "provider": provider}, "handle": handle})(folder)
    machine = state.load(lab, "m")
    assert machine is not None
    assert type(machine.handle) is PROVIDERS[provider].HANDLE
    kept = {key: value for key, value in EARLIER[provider].items() if key not in ("directory", "machine_id")}
    assert kept.items() <= state.to_doc(machine)["handle"]["data"].items()
    assert state.save(lab, machine) == state.load(lab, "m")


@pytest.mark.parametrize(("provider", "key"), [("qemu", "uuid"), ("qemu", "kernel"), ("ssh", "endpoint")])
def test_state_handle_empty_a_key_that_is_missing_is_told(lab: Lab, folder: Path, provider: str, key: str) -> None:
    data = {name: value for name, value in EARLIER[provider].items() if name != key}
    handle = {"provider": provider, "name": "m", "machine_id": ID, "data": data}
    written({**WHOLE, "spec": {"name": "m", "provider": provider}, "handle": handle})(folder)
    assert state.load(lab, "m") is None
    assert "machine.json cannot be read: handle.data" in state.look(lab, "m").problem
    assert "missing" in state.look(lab, "m").problem


def test_state_handle_empty_a_host_that_cannot_be_given_back_is_told(lab: Lab, folder: Path) -> None:
    (folder / ssh.HOST_FILE).write_text("{")
    told: list[str] = []
    lab.bus.add(lambda record: told.append(str(getattr(record.event, "text", ""))))
    seed = keys.seed(folder)
    ssh.delete(lab, ssh.recover(seed, "m", folder))
    assert any("may still be claimed" in text for text in told)
    assert not (folder / ssh.HOST_FILE).exists()
