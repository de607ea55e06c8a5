"""Takes of a show whose file is not there are replayed all the same: what a beat was follows from what it showed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.model.errors import Unreadable, UsageError
from lab.stage.history import takes
from lab.stage.history.inputs import Inputs
from lab.stage.history.takes import Take
from lab.stage.replay import recordings
from lab.stage.stream.events import (
    AgentAttached,
    BeatCard,
    BeatStarted,
    Line,
    RequestSent,
    ShowStarted,
    Slide,
    StageEvent,
    Window,
)
from lab.stage.stream.records import StageRecord
from tests.unit.stage.scripted import a_lab

SENT = RequestSent(at_ms=5.0, form="ebpf", number=1, type="venues")
SHOWN: dict[str, tuple[StageEvent, ...]] = {
    "attach": (AgentAttached(at_ms=1.0, form="baseline", attach_s=0.4), SENT),
    "request": (SENT,),
    "load": (Window(at_ms=1.0, form="ebpf", number=0, rate_rps=1.0, p50_ms=None, p99_ms=None),),
    "slide": (Slide(at_ms=0.0, markdown="# hello"),),
    "command": (Line(at_ms=0.0, text="Linux"),),
}


@pytest.mark.parametrize("kind", SHOWN)
def test_the_kind_of_a_beat_follows_from_its_take(tmp_path: Path, kind: str) -> None:
    lab = a_lab(tmp_path)
    place = takes.folder(lab.paths, "lab", "elsewhere")
    records = tuple(StageRecord(seq=seq, at_s=0.1, event=event) for seq, event in enumerate(SHOWN[kind], start=1))
    take = Take(
        show="elsewhere",
        beat="one",
        machine="lab",
        recorded="2026-02-01T10:00:00Z",
        inputs=Inputs(machine={"clock": "counted"}, show="", seed=1),
        seconds=2.0,
        records=records,
    )
    takes.save(place, take)
    found = recordings.find(lab, "elsewhere")
    start, began = found.records[0].event, found.records[1].event
    assert isinstance(start, ShowStarted)
    assert [card.kind for card in start.beats] == [kind]
    assert start.clock == "counted", "its page speaks of instructions, as the live show did"
    assert isinstance(began, BeatStarted)
    assert began.recorded == "2026-02-01"


@pytest.mark.parametrize("what", ["elsewhere//etc/x", "elsewhere/*", "elsewhere/../one", "elsewhere/["])
def test_a_beat_that_is_no_name_has_no_take(tmp_path: Path, what: str) -> None:
    lab = a_lab(tmp_path)
    take = Take(
        show="elsewhere",
        beat="one",
        machine="lab",
        recorded="2026-02-01T10:00:00Z",
        inputs=Inputs(show="", seed=1),
        seconds=2.0,
        records=(),
    )
    takes.save(takes.folder(lab.paths, "lab", "elsewhere"), take)
    with pytest.raises(UsageError, match="has no take of beat"):
        recordings.find(lab, what)


def test_a_record_of_a_beat_that_the_show_has_not_is_named(tmp_path: Path) -> None:
    card = BeatCard(id="a", title="A", kind="command", budget_s=1.0)
    start = ShowStarted(title="T", beats=(card,), slot_s=60.0, forms=(), source="live", machine="m")
    events: tuple[StageEvent, ...] = (start, BeatStarted(beat=0), BeatStarted(beat=7))
    lines = [json.dumps(StageRecord(seq=n, at_s=0.0, event=event).to_json()) for n, event in enumerate(events, start=1)]
    path = tmp_path / "show.jsonl"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(Unreadable, match=r"show\.jsonl:3 cannot be read: a beat that is not among the show's 1"):
        recordings.find(a_lab(tmp_path), str(path))


def test_takes_of_two_clocks_keep_their_own(tmp_path: Path) -> None:
    lab = a_lab(tmp_path)
    for beat, clock in (("one", "counted"), ("two", "real")):
        take = Take(
            show="elsewhere",
            beat=beat,
            machine="lab",
            recorded="2026-02-01T10:00:00Z",
            inputs=Inputs(machine={"clock": clock}, show="", seed=1),
            seconds=2.0,
            records=(),
        )
        takes.save(takes.folder(lab.paths, "lab", "elsewhere"), take)
    began = [one.event for one in recordings.find(lab, "elsewhere").records if isinstance(one.event, BeatStarted)]
    assert [one.clock for one in began] == ["counted", "real"]
