"""What the speaker's terminal keeps of a show."""

from __future__ import annotations

from lab.stage.speaker.desk import Desk
from lab.stage.stream import events
from lab.stage.stream.records import StageRecord

CARDS = tuple(
    events.BeatCard(id=name, title=name, kind="load", budget_s=30, cut=cut)
    for name, cut in (("one", 0.0), ("two", 5.0), ("three", 8.0))
)
SHOW = events.ShowStarted(
    title="x", beats=CARDS, slot_s=480, forms=(), source="live", machine="lab", clock="counted", cuts_min=(5, 3)
)
BUSY = events.Cause(at_ms=1.0, name="noisy host", evidence="load 9", sentence="The laptop was busy.")
COLD = events.Cause(at_ms=1.0, name="warm-up", evidence="first", sentence="It was cold.")
MISSED = events.BeatEnded(beat=0, outcome="missed", seconds=1.0)


def a_desk(*some: events.StageEvent) -> Desk:
    desk = Desk()
    for seq, event in enumerate((SHOW, *some), start=1):
        desk.note(StageRecord(seq=seq, at_s=float(seq), event=event))
    return desk


def started(beat: int = 0, **fields: object) -> events.BeatStarted:
    return events.BeatStarted(beat=beat, machine="lab", **fields)  # type: ignore[arg-type]


def test_the_likeliest_cause_is_the_one_to_say() -> None:
    assert a_desk(started(), BUSY, COLD, MISSED).cause == BUSY


def test_it_stays_for_the_second_attempt_and_the_take() -> None:
    assert a_desk(started(), BUSY, COLD, MISSED, started(attempt=2)).cause == BUSY
    assert a_desk(started(), BUSY, MISSED, started(attempt=2), COLD, MISSED).cause == COLD
    assert a_desk(started(), BUSY, MISSED, started(recorded="2026-11-20")).cause == BUSY


def test_it_goes_with_the_beat_and_with_an_attempt_that_passed() -> None:
    passed = events.BeatEnded(beat=0, outcome="passed", seconds=1.0)
    assert a_desk(started(), BUSY, MISSED, started(1)).cause is None
    assert a_desk(started(), BUSY, MISSED, started(attempt=2), passed).cause is None
    assert a_desk(started(), BUSY, passed).cause == BUSY, "a bit off, and good enough to pass"


def test_each_beat_has_the_clock_of_its_machine() -> None:
    attached = events.AgentAttached(at_ms=1.0, form="baseline", attach_s=1.5, first_span_s=0.5)
    assert "simulated" in a_desk(started(), attached).told["baseline"]
    assert "simulated" not in a_desk(started(clock="real"), attached).told["baseline"]


def test_every_shorter_slot_is_on_the_ladder() -> None:
    told = "".join(text for text, _ in a_desk(started()).ladder())
    assert told == "cuts: for 5 min leave out 3  for 3 min leave out 2  "
