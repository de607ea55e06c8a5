"""What the speaker reads of the host and its machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.machines import lifecycle
from lab.model.machine import Observed, Phase
from lab.stage.beat.machine import LiveMachine
from lab.stage.play.health import Pulse
from lab.stage.prepare.machine_checks import MachineChecks
from lab.stage.speaker.desk import Desk
from lab.stage.speaker.words import lines
from lab.stage.stream.records import StageRecord
from tests.unit.stage.scripted import Cast, a_lab, a_show


@pytest.mark.parametrize(("needed", "told"), [(True, "machine GONE"), (False, "no machine")])
def test_a_machine_that_no_beat_needs_is_not_missed(tmp_path: Path, needed: bool, told: str) -> None:
    pulse = Pulse(cast=(lambda: Cast(state="gone")) if needed else None, home=tmp_path, emit=lambda _: None)
    health, desk = pulse.look(), Desk()
    assert any("press p" in text for text in health.warnings) is needed
    desk.note(StageRecord(seq=1, at_s=0.0, event=health))
    assert told in "".join(text for text, _ in desk.state())
    assert lines(health, counted=False)[0].lower().startswith(told.lower())


def test_a_home_that_is_not_there_yet_is_no_reason_to_know_nothing(tmp_path: Path) -> None:
    pulse = Pulse(cast=None, home=tmp_path / "not" / "yet", emit=lambda _: None)
    assert pulse.look().machine == "none"


@pytest.mark.parametrize(
    ("phase", "alive"),
    [
        ("running", "up"),
        ("hung", "silent"),
        ("broken", "silent"),
        ("unknown", "silent"),
        ("stopped", "gone"),
        ("absent", "gone"),
        ("created", "gone"),
    ],
)
def test_a_machine_that_cannot_be_reached_has_not_exited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: Phase, alive: str
) -> None:
    seen = Observed(phase=phase, alive=phase == "running", reason="the network is unreachable")
    monkeypatch.setattr(lifecycle, "glance", lambda *_: seen)
    cast = LiveMachine(lab=a_lab(tmp_path), machine="talk", asked=a_show(tmp_path).asked)
    assert cast.alive() == alive
    pulse = Pulse(cast=lambda: cast, home=tmp_path, emit=lambda _: None)
    told = [text for text in pulse.look().warnings if "the machine" in text]
    words = {"up": [], "silent": ["the machine does not answer: press p"], "gone": ["the machine exited: press p"]}
    assert told == words[alive]


def test_the_check_says_why_a_machine_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Observed(phase="unknown", alive=False, reason="the network is unreachable")
    monkeypatch.setattr(lifecycle, "glance", lambda *_: seen)
    checks = MachineChecks(lab=a_lab(tmp_path), machine="talk", show=a_show(tmp_path), again="again")
    (point,) = checks.looks()["machine"]()
    assert point.text == "machine talk does not answer: the network is unreachable"
