"""A start by systemd right after an end: the earlier unit may still be there, since its lock is free before it is gone.

systemd is replaced: like it, this one refuses the name of a unit that is loaded.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.guest.run import launch

SYSTEMD_RUN = """#!/bin/sh
for word; do case $word in --unit=*) unit=${word#--unit=};; esac; done
mkdir "@/$unit" 2>/dev/null && exit 0
echo "Failed to start transient service unit: Unit $unit was already loaded or has a fragment file." >&2
exit 1
"""


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The units that systemd has loaded."""
    units, program = tmp_path / "units", tmp_path / "bin/systemd-run"
    units.mkdir()
    program.parent.mkdir()
    program.write_text(SYSTEMD_RUN.replace("@", str(units)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(launch, "systemd_runs", lambda: True)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(launch, "holder", lambda: {"digest": "d" * 64})
    return units


def test_the_forms_are_started_again_while_their_earlier_unit_ends(tmp_path: Path, loaded: Path) -> None:
    for _ in range(2):
        launch._launch("d" * 64, ["guest", "standby"], tmp_path)
    assert len(list(loaded.iterdir())) == 2


def test_why_systemd_starts_nothing_is_told(tmp_path: Path, loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded.rmdir()
    monkeypatch.setattr(launch, "holder", dict)
    with pytest.raises(OSError, match="the run did not start: Failed to start transient service unit"):
        launch._launch("d" * 64, ["guest", "standby"], tmp_path)


def test_a_run_that_ends_before_its_lock_is_seen_is_told_with_what_it_wrote(
    tmp_path: Path, loaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = loaded.parent / "bin"
    for name, says in {"systemctl": "ActiveState=inactive", "journalctl": "no module named lab"}.items():
        (programs / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (programs / name).chmod(0o755)
    monkeypatch.setattr(launch, "holder", dict)
    with pytest.raises(OSError, match="the run did not start: no module named lab"):
        launch._launch("d" * 64, ["guest", "standby"], tmp_path)
