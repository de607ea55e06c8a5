"""Events as lines of words."""

from __future__ import annotations

import dataclasses

import pytest

from lab.stage.speaker import words
from lab.stage.speaker.desk import Desk
from lab.stage.stream.events import (
    AgentAttached,
    BeatCard,
    BeatStarted,
    ShowStarted,
    SpanArrived,
    StageEvent,
    Value,
    Window,
)
from lab.stage.stream.records import StageRecord
from tests.fakes.recorded_show import counted, records


def test_a_counted_window_has_no_time() -> None:
    window = Window(
        at_ms=1.0, form="ebpf", number=1, rate_rps=20.0, p50_ms=4.0, p99_ms=None, done=30,
        instructions={"service": 1.0, "agent": 0.5, "sink": 9.0}, spans_wanted=120, spans_seen=117,
    )  # fmt: skip
    assert words.told(window, counted=True) == "ebpf: 30 requests, 1.50 million instructions each, 117 of 120 spans"
    silent = dataclasses.replace(window, form="baseline", spans_seen=0)
    assert words.told(silent, counted=True) == "baseline: 30 requests, 1.50 million instructions each"
    attached = AgentAttached(at_ms=1.0, form="baseline", attach_s=1.2, first_span_s=0.4)
    told = words.told(attached, counted=True)
    assert told == "baseline: attached in 1.20 simulated s, first span after 0.40 simulated s"


@pytest.mark.parametrize(
    ("counted", "said"),
    [(True, "ebpf: 0 requests, – instructions each, 0 of 0 spans"), (False, "ebpf: 0/s, –, CPU –, 0 of 0 spans")],
)
def test_before_the_first_answer_there_is_no_cost(counted: bool, said: str) -> None:
    window = Window(at_ms=1.0, form="ebpf", number=0, rate_rps=0.0, p50_ms=None, p99_ms=None)
    assert words.told(window, counted=counted) == said
    desk = Desk()
    start = ShowStarted(
        title="T",
        beats=(BeatCard(id="a", title="A", kind="load", budget_s=9),),
        slot_s=60,
        forms=("ebpf",),
        source="live",
        machine="m",
        clock="counted" if counted else "real",
    )
    some: tuple[StageEvent, ...] = (start, BeatStarted(beat=0), window)
    for seq, event in enumerate(some, start=1):
        desk.note(StageRecord(seq=seq, at_s=0.0, event=event))
    assert desk.shown(4) == [((said, ""),)]


def test_a_value_has_its_word_its_ratio_and_its_interval() -> None:
    value = Value(
        at_ms=1.0, name="cpu_per_request", title="instructions per request", value=3.0, unit="million", form="ebpf",
        ratio=1.5, judged="on", low=2.9, high=3.1,
    )  # fmt: skip
    (line,) = words.lines(value, counted=True)
    assert line == "● ON         instructions per request ebpf: 3.00 million  1.50 ×  rehearsed 2.90 to 3.10"


def test_requests_that_failed_are_part_of_a_windows_line() -> None:
    window = Window(
        at_ms=1.0, form="ebpf", number=1, rate_rps=20.0, p50_ms=4.0, p99_ms=None, done=1500, errors=1200,
        cpu_ms={"service": 1.0}, spans_wanted=6000, spans_seen=1200,
    )  # fmt: skip
    assert words.told(window).endswith(", 1200 of 6000 spans, 1,200 failed")
    assert "failed" not in words.told(dataclasses.replace(window, errors=0))


def test_a_count_is_a_whole_number() -> None:
    value = Value(
        at_ms=1.0, name="spans", title="spans", value=960.0, unit="spans", form="ebpf", judged="on", low=959.5,
        high=960.5,
    )  # fmt: skip
    assert words.lines(value, counted=True) == ["● ON         spans ebpf: 960 spans  rehearsed 960"]
    (line,) = words.lines(dataclasses.replace(value, low=956.5, high=960.5), counted=True)
    assert line.endswith("rehearsed 957 to 960")


def test_no_line_is_a_dump_of_fields() -> None:
    for record in (*records(), *counted()):
        for line in words.lines(record.event, counted=False):
            assert "at_ms" not in line
            assert type(record.event).__name__ not in line
    assert not any(words.lines(one.event, counted=True) for one in records() if isinstance(one.event, SpanArrived))
