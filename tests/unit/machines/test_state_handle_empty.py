"""The case state-handle-empty: whatever is on disk, `lab down` works, and leaves no process; `lab status` says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.machines import journal, keys, lifecycle, removal, state
from lab.machines.providers.qemu import provider as qemu
from lab.model.errors import ConfigError, LabError, ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import Machine, MachineSpec
from tests.unit.machines.broken import (
    WHOLE,
    a_folder,
    a_pipe,
    deep_journal,
    no_key,
    posix,
    with_handle,
    written,
)


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


@posix
@pytest.mark.parametrize("act", BROKEN.values(), ids=BROKEN)
def test_state_handle_empty(lab: Lab, folder: Path, act: Callable[[Path], None]) -> None:
    act(folder)
    seen = {name: lifecycle.glance(lab, name) for name in lifecycle.names(lab)}
    assert seen["other"].reason == "not created yet"
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
    with pytest.raises(ProvisioningError, match=f"{name} is not a regular file") as caught:
        lifecycle.up(lab, MachineSpec(name="m"), lock_timeout_s=1)
    assert caught.value.fix == "lab down m"


def test_state_handle_empty_a_key_that_is_none_is_told(lab: Lab, folder: Path) -> None:
    no_key(folder)
    with pytest.raises(LabError, match="host_ed25519 cannot be read: not an OpenSSH private key") as caught:
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
