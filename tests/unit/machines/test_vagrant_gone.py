"""A machine that went away behind Vagrant's back."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.machines import keys
from lab.machines.providers.vagrant import cli as vagrant_cli
from lab.machines.providers.vagrant import libvirt
from lab.machines.providers.vagrant import provider as vagrant
from lab.model.config import Config
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.paths import Paths


def test_a_machine_that_somebody_else_removed_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its disk is still there, and `vagrant up` alone fails on it (DomainVolumeExists)."""
    lab = Lab(config=Config(), paths=Paths(home=tmp_path / "home"), bus=Bus())
    work = tmp_path / vagrant.WORK
    (work / vagrant_cli.DOT).mkdir(parents=True)
    (work / vagrant.COMPLETE_MARKER).touch()
    volumes, answers = ["kernel", "lab-talk.img"], ["absent", "running"]

    def run(_lab: Lab, _work: Path, words: list[str], **_: object) -> list[vagrant_cli.OutputRow]:
        assert words[0] != "up" or "lab-talk.img" not in volumes, "DomainVolumeExists"
        return []

    def ask(_lab: Lab, _uuid: str) -> libvirt.DomainStatus:
        return libvirt.DomainStatus(state=answers.pop(0), address="10.64.0.2")

    monkeypatch.setattr(vagrant_cli, "run", run)
    monkeypatch.setattr(libvirt, "ask", ask)
    monkeypatch.setattr(libvirt, "forget", lambda *_: volumes.remove("lab-talk.img"))
    handle = vagrant.recover(keys.seed(tmp_path), "talk", tmp_path)
    assert vagrant.start(lab, handle).host == "10.64.0.2"
    assert volumes == ["kernel"]
