"""A stage record is read back as it was written, and what is not one is refused by its place."""

from __future__ import annotations

import json

import pytest

from lab.guest.wire import WireError
from lab.stage.stream.events import Notes, Pillar, PillarCell, StageEvent, Window
from lab.stage.stream.records import StageRecord

SOME: list[StageEvent] = [
    Window(at_ms=500.0, form="twin", number=1, rate_rps=20.0, p50_ms=1.5, p99_ms=None, cpu_ms={"service": 0.3}),
    Pillar(at_ms=1.0, pillar="safety", cells=(PillarCell(form="ebpf", words="needs root"),)),
    Notes(beat=2, text="Breathe.", expects=("5 spans",)),
]


@pytest.mark.parametrize("event", SOME, ids=lambda event: type(event).__name__)
def test_a_record_is_read_as_it_was_written(event: StageEvent) -> None:
    record = StageRecord(seq=7, at_s=1.25, event=event)
    assert StageRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_an_event_that_does_not_exist_is_refused() -> None:
    with pytest.raises(WireError, match="not Fanfare"):
        StageRecord.from_json({"seq": 1, "at_s": 0.0, "event": "Fanfare", "data": {}})


def test_a_wrong_field_is_refused_by_its_place() -> None:
    doc = StageRecord(seq=1, at_s=0.0, event=SOME[2]).to_json()
    doc["data"]["beat"] = "first"
    with pytest.raises(WireError, match=r"data\.beat"):
        StageRecord.from_json(doc)
