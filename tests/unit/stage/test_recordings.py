"""Takes of a show whose file is not there are replayed all the same: what a beat was follows from what it showed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.stage.history import takes
from lab.stage.history.inputs import Inputs
from lab.stage.history.takes import Take
from lab.stage.replay import recordings
from lab.stage.stream.events import (
    AgentAttached,
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
    place = takes.folder(lab.paths, lab.config.machine.name, "elsewhere")
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
