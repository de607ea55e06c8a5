"""A recording as a show that is on: its keys, its marks, and the files that it becomes."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from lab.model.summary import Summary
from lab.stage.page import alone
from lab.stage.page.assets import FOLDER
from lab.stage.page.public import HOME
from lab.stage.replay import of_run
from lab.stage.replay.asciicast import cast
from lab.stage.replay.playback import Playback, marked, parts
from lab.stage.stream.events import (
    BeatStarted,
    Curtain,
    Health,
    Line,
    Notes,
    Remark,
    ShowEnded,
    ShowStarted,
    Slide,
    SpanArrived,
    StageEvent,
)
from lab.stage.stream.records import StageRecord
from tests.fakes.recorded_show import BEATS, records

DAY = "2026-11-20"


class Watched:
    """A playback that runs in a thread, and what it showed."""

    def __init__(self, *, alone: bool = False, shown: Sequence[StageRecord] | None = None) -> None:
        self.events: list[StageEvent] = []
        self.play = Playback(records=records() if shown is None else shown, day=DAY, alone=alone)
        self.play.subscribe(lambda record: self.events.append(record.event))
        self.thread = threading.Thread(target=self.play.run)
        self.thread.start()

    def until(self, reached: Callable[[list[StageEvent]], bool]) -> None:
        limit = time.monotonic() + 10
        while not reached(self.events):
            assert time.monotonic() < limit, self.events[-3:]
            time.sleep(0.005)

    def beat(self, number: int) -> None:
        """Wait until that beat is the last that has begun."""
        self.until(lambda events: self.begun()[-1:] == [number])

    def begun(self) -> list[int]:
        return [event.beat for event in self.events if isinstance(event, BeatStarted)]


@contextmanager
def playing(*, alone: bool = False, shown: Sequence[StageRecord] | None = None) -> Iterator[Watched]:
    watched = Watched(alone=alone, shown=shown)
    try:
        yield watched
    finally:
        watched.play.cancel.set()
        watched.thread.join(5)
        assert not watched.thread.is_alive()


def test_it_waits_for_a_key_after_a_beat() -> None:
    with playing() as it:
        it.beat(0)
        time.sleep(0.4)
        assert it.begun() == [0]
        it.play.act("next")
        it.beat(1)
        it.play.act("next")  # within the beat: to its end
        it.until(lambda events: sum(isinstance(event, SpanArrived) for event in events) == 17)
        assert it.begun() == [0, 1]
        it.play.act("back")
        it.beat(0)
        it.play.act("jump", "6")
        it.beat(6)
        it.play.act("curtain")
        it.until(lambda events: Curtain(down=True) in events)
        it.play.act("panic")
        it.until(lambda events: Remark(text="panic: this is a recording") in events)
        it.play.act("stop")
        it.until(lambda events: isinstance(events[-1], ShowEnded))


def retried() -> list[StageRecord]:
    """A show of two beats, the first of them in two attempts; the last has nine silent seconds in it."""
    start = next(one.event for one in records() if isinstance(one.event, ShowStarted))
    events: list[tuple[float, StageEvent]] = [
        (0.0, dataclasses.replace(start, beats=BEATS[:2])),
        (0.0, BeatStarted(beat=0)),
        (0.1, Line(at_ms=100.0, text="missed")),
        (0.2, BeatStarted(beat=0, attempt=2)),
        (0.3, Line(at_ms=100.0, text="passed")),
        (0.4, BeatStarted(beat=1)),
        (0.5, Line(at_ms=100.0, text="first")),
        (9.5, Line(at_ms=9100.0, text="last")),
    ]
    return [StageRecord(seq=seq, at_s=at_s, event=event) for seq, (at_s, event) in enumerate(events, start=1)]


def test_a_jump_goes_to_a_beat_and_next_in_the_last_one_plays_its_rest() -> None:
    with playing(shown=retried()) as it:
        it.beat(0)
        it.play.act("jump", "1")
        it.beat(1)
        it.until(lambda events: Line(at_ms=100.0, text="first") in events)
        it.play.act("next")
        it.until(lambda events: Line(at_ms=9100.0, text="last") in events)
        it.play.act("jump", "9" * 5000)
        it.until(lambda events: Remark(text="the recording has no such beat") in events)
        it.play.act("jump", "0")
        it.beat(0)
        assert it.begun() == [0, 1, 0]
        assert not any(isinstance(event, ShowEnded) for event in it.events)


def test_alone_it_plays_to_the_end_in_its_own_time() -> None:
    with playing(alone=True) as it:
        began = time.monotonic()
        it.beat(2)
        assert 1.2 < time.monotonic() - began < 9, "the spans of the request take 1.3 s"


def test_nothing_of_it_is_live() -> None:
    again = [marked(record, DAY).event for record in records(recorded=())]
    assert {event.recorded for event in again if isinstance(event, BeatStarted)} == {DAY}
    assert [event.source for event in again if isinstance(event, ShowStarted)] == ["replay"]


def test_what_the_speaker_was_told_of_that_host_is_not_told_as_now() -> None:
    told: list[StageEvent] = [
        Health(load=9.0, machine="gone", warnings=("the battery is at 3 %",)),
        Remark(text="this laptop slept for 60 s: press r", level="warning"),
    ]
    shown = records()
    shown[1:1] = [StageRecord(seq=1, at_s=0.0, event=event) for event in told]
    shown[-1:-1] = [StageRecord(seq=1, at_s=shown[-1].at_s, event=event) for event in told]
    head, beats = parts(shown)
    assert not any(record.event in told for record in (*head, *(record for beat in beats for record in beat)))


def test_notes_belong_to_the_beat_that_they_are_for() -> None:
    _, beats = parts(records())
    for number, beat in enumerate(beats):
        assert [one.event.beat for one in beat if isinstance(one.event, Notes)] == [number]


def test_a_second_attempt_has_the_notes_of_its_beat() -> None:
    """`back` from the next beat goes to it, and the notes of that one would stand beside it."""
    some: list[StageEvent] = [
        Notes(beat=0, text="one"), BeatStarted(beat=0), BeatStarted(beat=0, attempt=2),
        Notes(beat=1, text="two"), BeatStarted(beat=1),
    ]  # fmt: skip
    _, beats = parts([StageRecord(seq=at, at_s=at, event=event) for at, event in enumerate(some)])
    assert [[one.event.text for one in beat if isinstance(one.event, Notes)] for beat in beats] == [
        ["one"],
        ["one"],
        ["two"],
    ]


def test_the_replay_page_asks_for_nothing_and_tells_nothing_private() -> None:
    page = alone.page([marked(record, DAY) for record in records()], "A <show> {keys}")
    assert "SECRET" not in page
    assert "steal 14" not in page
    assert "<title>A &lt;show&gt; {keys}</title>" in page
    assert "src=" not in page
    assert "href=" not in page
    assert "unsafe" not in page
    data = page.split('id="records">')[1].split("</script>")[0]
    assert json.loads(data)[0]["event"] == "ShowStarted"


def test_every_module_can_be_bundled() -> None:
    bundle = alone.bundle()
    assert "import " not in bundle
    assert "export " not in bundle
    for path in sorted(FOLDER.glob("*.js")):
        if path.name not in {"main.js", "stream.js"}:
            assert f"const module_{path.stem} = " in bundle


def test_a_cast_has_what_the_beats_printed_and_no_control_characters() -> None:
    some = records()
    some.insert(-1, StageRecord(seq=1, at_s=500.0, event=Line(at_ms=0.0, text="evil \x1b]0;title\x07 text")))
    head, *lines = [json.loads(line) for line in cast(some, "Title").splitlines()]
    assert head == {"version": 2, "width": 100, "height": 30, "title": "Title"}
    printed = "".join(text for _, _, text in lines)
    assert "$ bpftool prog list" in printed
    assert "evil  text\r\n" in printed
    times = [at for at, _, _ in lines]
    assert times == sorted(times)
    assert times[-1] < 30, "long silences are cut"
    assert any(f"{BEATS[7].title} " in text for _, _, text in lines)


def test_a_cast_does_not_tell_whose_laptop_it_is() -> None:
    start = dataclasses.replace(records()[0].event, title=f"{HOME}/show")  # type: ignore[arg-type]
    said = (start, BeatStarted(beat=0), Line(at_ms=0.0, text=f"$ ls {HOME}/src"))
    text = cast([StageRecord(seq=n, at_s=0.0, event=event) for n, event in enumerate(said, start=1)], f"{HOME}/show")
    assert "$ ls ~/src" in text
    assert HOME not in text


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    from lab.runs.read import read
    from lab.verdict import summarize
    from tests.unit.report import synthetic

    return summarize(read(synthetic.write(tmp_path_factory.mktemp("run") / "run")))


@pytest.fixture(scope="module")
def of_a_run(summary: Summary) -> list[StageRecord]:
    return of_run.records(summary)


def test_a_run_is_a_show_of_its_requests_and_its_words(of_a_run: list[StageRecord]) -> None:
    start = of_a_run[0].event
    assert isinstance(start, ShowStarted)
    assert start.source == "replay"
    assert [card.kind for card in start.beats][-2:] == ["slide", "pillar"]
    _, beats = parts(of_a_run)
    assert len(beats) == len(start.beats)
    times = [record.at_s for record in of_a_run]
    assert times == sorted(times)
    assert [record.seq for record in of_a_run] == list(range(1, len(of_a_run) + 1))
    assert any(isinstance(record.event, SpanArrived) and record.event.row >= 0 for record in of_a_run)


def test_what_it_costs_is_told_with_its_verdict(summary: Summary, of_a_run: list[StageRecord]) -> None:
    (slide,) = [record.event for record in of_a_run if isinstance(record.event, Slide)]
    lines = [line for line in summary.lines if line.against == "baseline"]
    assert lines
    for line in lines:
        assert f"- **{line.form}**: {line.word}. {line.text}" in slide.markdown.splitlines()
