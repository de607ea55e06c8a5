"""A show begins from its snapshot: what the check finds on standby counts where it is what the snapshot holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.flows import live, standby
from lab.machines import lifecycle, snapshots
from lab.model.lab import Lab
from lab.model.machine import Machine, MachineSpec
from lab.stage.history import profile
from lab.stage.history.inputs import Inputs
from lab.stage.history.profile import Profile
from lab.stage.prepare.check import check
from lab.stage.prepare.machine_checks import MachineChecks
from lab.stage.show.show import Show
from tests.support import lab_at
from tests.unit.flows.test_standby import record
from tests.unit.stage.test_rehearsing import a_show, saved

FIX = "lab restore m --from stage, or lab rehearse; then lab show --check"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """With machine `m`, whose snapshot `stage` has forms on standby."""
    found = lab_at(tmp_path)
    found = replace(found, config=replace(found.config, machine=replace(found.config.machine, name="m")))
    found.paths.machine("m").mkdir(parents=True)
    monkeypatch.setattr(lifecycle, "machine", lambda *_: Machine(spec=MachineSpec(name="m", provider="qemu")))
    saved(found, record(pid=1, seed=7))
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the forms on standby."""
    asked: list[str] = []

    def opened(*_: Any) -> Any:
        asked.append("proof")
        raise AssertionError

    def of(*_: Any) -> Profile:
        asked.append("profile")
        return Profile(inputs=Inputs(show="", seed=7))

    monkeypatch.setattr(live, "opened", opened)
    monkeypatch.setattr(profile, "of", of)
    return asked


def checks(lab: Lab, show: Show) -> MachineChecks:
    return MachineChecks(lab=lab, machine="m", show=show, again="lab rehearse")


def test_the_forms_that_the_snapshot_holds_are_those_of_the_show(lab: Lab, tmp_path: Path, asked: list[str]) -> None:
    standby.keep(lab, "m", record(pid=1, seed=7))
    looks = checks(lab, a_show(tmp_path)).looks()
    (point,) = looks["snapshot"]()
    assert (point.verdict, point.text) == ("ok", "snapshot stage holds what is on standby")
    assert [one.verdict for one in looks["inputs"]()] == ["ok"]
    assert asked == ["profile"]


def test_a_snapshot_that_cannot_be_restored_is_told_with_its_reason(
    lab: Lab, tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade of QEMU: panic would boot the machine, minutes later."""
    standby.keep(lab, "m", record(pid=1, seed=7))
    monkeypatch.setattr(snapshots, "changed", lambda *_: ["QEMU 7.2 saved it, 8.0 is installed"])
    looks = checks(lab, a_show(tmp_path)).looks()
    (point,) = looks["snapshot"]()
    assert point.verdict == "warn"
    assert "cannot be restored: QEMU 7.2 saved it" in point.text
    assert [one.verdict for one in looks["inputs"]()] == ["ok"], "the forms are those of the snapshot all the same"


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (record(pid=2, seed=8), "the show begins from snapshot stage, and machine m has other forms on standby"),
        (None, "the show begins from snapshot stage, and machine m has nothing on standby"),
    ],
)
def test_other_forms_than_the_snapshot_holds_say_nothing_of_the_show(
    lab: Lab, tmp_path: Path, asked: list[str], now: standby.Standby | None, told: str
) -> None:
    """An earlier rehearsal was stopped before it saved them; or `lab demo` ended those that were there."""
    if now is not None:
        standby.keep(lab, "m", now)
    looks = checks(lab, a_show(tmp_path)).looks()
    (point,) = looks["snapshot"]()
    assert (point.verdict, point.about, point.text, point.fix) == ("fail", "machine", told, FIX)
    assert [*looks["forms"](), *looks["inputs"]()] == []
    assert asked == []


def test_the_check_then_says_what_brings_them_back(lab: Lab, tmp_path: Path, asked: list[str]) -> None:
    standby.keep(lab, "m", record(pid=2, seed=8))
    lab.paths.home.mkdir(exist_ok=True)
    found = check(lab, a_show(tmp_path))
    points = {point.name: point for point in found.points}
    assert points["snapshot"].verdict == "fail"
    assert points["rehearsals"].text == "not compared with what is shown: machine m has other forms on standby"
    assert points["rehearsals"].fix == points["snapshot"].fix
    assert points["snapshot"].fix.startswith("lab restore m --from stage, or lab rehearse ")
    assert found.word == "NO-GO"
    assert asked == []
