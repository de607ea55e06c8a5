"""What the speaker reads of the host and its machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.stage.play.health import Pulse
from lab.stage.speaker.desk import Desk
from lab.stage.speaker.words import lines
from lab.stage.stream.records import StageRecord
from tests.unit.stage.scripted import Cast


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
