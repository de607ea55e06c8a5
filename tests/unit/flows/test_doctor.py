"""`lab doctor --install` for a user who is not root: nothing is started that cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.flows import doctor
from lab.machines import doctor as machines
from lab.model.errors import PreconditionError
from lab.model.lab import Lab
from lab.system import proc
from tests.support import lab_at

SUDO = ["sudo", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
COMMANDS = [[*SUDO, "update"], [*SUDO, "install", "--yes", "zstd"]]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return lab_at(tmp_path)


def test_without_sudo_the_commands_for_root_are_the_fix(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[doctor.Commands] = []

    def confirm(commands: doctor.Commands) -> bool:
        asked.append(commands)
        return True

    monkeypatch.setattr(machines, "install_commands", lambda _: COMMANDS)
    monkeypatch.setattr(proc, "which", lambda name: None if name == "sudo" else Path("/usr/bin") / name)
    with pytest.raises(PreconditionError, match="sudo is not installed") as told:
        doctor.install(lab, confirm=confirm)
    plain = "env DEBIAN_FRONTEND=noninteractive apt-get"
    assert told.value.fix == f"run as root: {plain} update && {plain} install --yes zstd"
    assert asked == [], "nothing is asked that cannot be done"


@pytest.mark.parametrize("commands", [[["true"]], [["vagrant", "plugin", "install", "x"]]])
def test_without_sudo_what_needs_none_is_installed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(machines, "install_commands", lambda _: commands)
    monkeypatch.setattr(proc, "which", lambda name: None if name == "sudo" else Path("/usr/bin") / name)
    monkeypatch.setattr(proc, "check", lambda argv, **_: ran.append(argv[0]))
    doctor.install(lab, confirm=lambda _: True)
    assert ran == [commands[0][0]]
