"""A machine's spec: its files are named so that another folder means the same ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.model.machine import MachineConfig


def test_the_machine_outlives_the_folder_in_which_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert MachineConfig(kernel="bzImage", modules="~/m").spec().kernel == str(tmp_path / "bzImage")
    assert MachineConfig(modules="~/m").spec().modules == str(Path.home() / "m")
    assert MachineConfig(identity="keys/id").spec().identity == str(tmp_path / "keys" / "id")
    assert MachineConfig(source="golden.qcow2").spec().source == str(tmp_path / "golden.qcow2")
    assert MachineConfig(identity="~nobody-of-this-host/id").spec().identity.startswith(str(tmp_path))
    empty = MachineConfig().spec()
    assert (empty.kernel, empty.identity, empty.source) == ("", "", "")


@pytest.mark.parametrize("source", ["https://images.example/a.qcow2", "file:///srv/a.qcow2", "ami-0abcdef1234567890"])
def test_a_source_that_is_no_path_stays_as_it_is(source: str) -> None:
    assert MachineConfig(source=source).spec().source == source
