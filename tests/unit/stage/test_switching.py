"""The key for the second machine: the show goes on there, and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.stage.beat.cast import Alive
from lab.stage.play.stand import Side
from lab.stage.stream.events import BeatStarted, Remark
from tests.unit.stage.scripted import Cast, a_beat, a_run
from tests.unit.stage.test_engine import wait_for_end


@pytest.mark.parametrize(("state", "asked_in"), [("up", ["up"]), ("gone", ["gone", "up"])])
def test_standby_switches_to_a_machine_that_is_restored_first_when_it_is_down(
    tmp_path: Path, state: Alive, asked_in: list[Alive]
) -> None:
    """Its rehearsals are compared with what it is after the restore: a machine that is down cannot be asked."""
    other, beat = Cast(machine="two", state=state), a_beat("one", wait_for_end, again=True)
    other.on_restore = lambda _: setattr(other, "state", "up")
    asked: list[Alive] = []

    def side() -> Side:
        asked.append(other.state)
        return Side(cast=other)

    with a_run(tmp_path, beat, other=side, other_name="two") as run:
        run.wait(BeatStarted, machine="one")
        run.engine.act("standby")
        run.wait(BeatStarted, machine="two")
        assert asked == asked_in
        assert other.restored == len(asked_in) - 1
        run.engine.act("standby", "one")
        run.wait(BeatStarted, machine="one", count=2)


def test_standby_without_a_second_machine(tmp_path: Path) -> None:
    with a_run(tmp_path, a_beat("one", wait_for_end)) as run:
        run.wait(BeatStarted)
        run.engine.act("standby")
        assert "--standby" in run.wait(Remark).text
