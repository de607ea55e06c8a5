"""What the speaker reads beside the cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli.stage.plain import Lines
from lab.stage.play.stand import Side
from lab.stage.show import show_file
from lab.stage.speaker.desk import Desk
from lab.stage.stream.events import AgentAttached, BeatStarted, ShowStarted
from lab.stage.stream.records import StageRecord
from tests.unit.stage.scripted import Cast, a_beat, a_run


def test_the_ladder_has_each_slot_of_the_show() -> None:
    show = show_file.load(show_file.find("four-pillars"))
    cards = tuple(beat.card() for beat in show.beats)
    desk = Desk()
    start = ShowStarted(title="T", beats=cards, slot_s=480, cuts_min=(5.0, 3.0), forms=(), source="live", machine="m")
    desk.note(StageRecord(seq=1, at_s=0.0, event=start))
    desk.note(StageRecord(seq=2, at_s=0.0, event=BeatStarted(beat=0)))
    told = "".join(text for text, _ in desk.ladder())
    for slot in (5.0, 3.0):
        assert f"for {slot:g} min" in told
    three = {beat.id for beat in show.within(3)}
    out = [at + 1 for at, beat in enumerate(show.beats) if beat.id not in three and at > 0]
    for number in out:
        assert str(number) in told


def test_the_engine_tells_the_slots(tmp_path: Path) -> None:
    with a_run(tmp_path, a_beat("one", lambda _: None)) as run:
        assert run.wait(ShowStarted).cuts_min == ()


@pytest.mark.parametrize("clocks", [("counted", "real"), ("real", "counted")])
def test_the_unit_of_a_time_is_that_of_the_machine_that_plays(
    tmp_path: Path, clocks: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (Cast(machine=name, clock=clock) for name, clock in zip(("one", "two"), clocks, strict=True))  # type: ignore[arg-type]

    def attach(scene: object) -> None:
        scene.emit(AgentAttached(at_ms=1.0, form="baseline", attach_s=1.5))  # type: ignore[attr-defined]
        scene.deadline.sleep(5)  # type: ignore[attr-defined]

    beat = a_beat("one", attach, again=True)
    desk, plain, said = Desk(), Lines(as_json=False), []
    with a_run(tmp_path, beat, cast=first, other=lambda: Side(cast=second), other_name="two") as run:

        def hear(record: StageRecord) -> None:
            desk.note(record)
            plain(record)
            if isinstance(record.event, AgentAttached):
                said.append("simulated" in desk.told["baseline"])

        run.engine.subscribe(hear)
        run.wait(AgentAttached)
        run.engine.act("standby")
        run.wait(AgentAttached, count=2)
    assert said == [clock == "counted" for clock in clocks]
    lines = [line for line in capsys.readouterr().out.splitlines() if "attached in" in line]
    assert ["simulated" in line for line in lines] == said
