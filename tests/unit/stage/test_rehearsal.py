"""A rehearsal leaves a take of each beat that passed and one entry in the ledger; drills and a full disk are seen."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest

from lab.model.errors import DemoError
from lab.stage.beat.scene import Scene
from lab.stage.history import ledger, takes
from lab.stage.history.inputs import Inputs
from lab.stage.history.ledger import BeatResult, Rehearsal
from lab.stage.play.attempt import Played
from lab.stage.prepare.rehearsal import Recorder, has_fallback, needs
from lab.stage.replay import recordings
from lab.stage.stream.events import BeatEnded, BeatStarted, Line, Outcome, Remark, ShowStarted, Value
from tests.unit.stage.scripted import Run, a_beat, a_run, a_take, say

INPUTS = Inputs(show="aa", seed=1)


def shows(scene: Scene) -> None:
    scene.emit(Line(at_ms=0.0, text="hello"))
    scene.emit(Value(at_ms=0.0, name="rate", title="rate", value=20.0, unit="per s"))


def fails(_: Scene) -> None:
    raise DemoError("no", fix="x")


def rehearsed(run: Run, place: Path, *, drill: bool = False) -> Recorder:
    stand = run.engine.stand
    recorder = Recorder(show=stand.show, place=place, machine="one", inputs=INPUTS, emit=run.engine.emit)
    stand.on_ended = recorder.ended
    run.engine.drill = has_fallback if drill else lambda _: False
    with run:
        run.over()
    return recorder


def test_a_clean_rehearsal(tmp_path: Path) -> None:
    beats = (a_beat("one", shows, say_s=3.0), a_beat("two", shows))
    run = a_run(tmp_path, *beats, pace="alone")
    found = rehearsed(run, tmp_path / "place").finish(beats)
    assert found.clean
    assert 3.0 <= found.seconds < 3.5  # the first beat takes as long as it is spoken
    assert [(figure.beat, figure.name, figure.value) for figure in found.figures] == [
        ("one", "rate", 20.0),
        ("two", "rate", 20.0),
    ]
    assert ledger.read(tmp_path / "place") == [found]
    take = takes.usable(tmp_path / "place", "two", INPUTS)
    assert isinstance(take, takes.Take)
    assert [type(record.event).__name__ for record in take.records] == ["Line", "Value"]


def test_a_show_of_one_s_own_is_replayed_in_its_order_with_its_titles(tmp_path: Path) -> None:
    beats = (a_beat("zebra", shows, title="First"), a_beat("ant", shows, title="Then", kind="load"))
    run = a_run(tmp_path, *beats, pace="alone")
    lab = run.engine.stand.lab
    rehearsed(run, takes.folder(lab.paths, "one", run.engine.stand.show.name))
    start = recordings.find(lab, run.engine.stand.show.name).records[0].event
    assert isinstance(start, ShowStarted)
    assert start.title == "Scripted"
    assert [(card.id, card.title, card.kind) for card in start.beats] == [
        ("zebra", "First", "command"),
        ("ant", "Then", "load"),
    ]


def test_a_drill_plays_each_take_and_the_rehearsal_stays_clean(tmp_path: Path) -> None:
    beats = (a_beat("one", shows), a_beat("two", shows, else_="skip"))
    place = tmp_path / "place"
    run = a_run(tmp_path, *beats, pace="alone", take_of=lambda beat: takes.usable(place, beat.id, INPUTS))
    found = rehearsed(run, place, drill=True).finish(beats)
    assert [beat.drilled for beat in found.beats] == [True, False]
    assert found.clean
    assert [bool(event.recorded) for event in run.of(BeatStarted)] == [False, True, False]
    assert ledger.stage_ready([found], INPUTS, needs(beats, 60.0, 1)) == ("no clean rehearsal with the network cut",)


def test_a_beat_that_is_played_again_is_in_the_rehearsal_once(tmp_path: Path) -> None:
    """Else three presses of `r` would be three rehearsals of its figures."""
    beats = (a_beat("one", shows, again=True),)
    run = a_run(tmp_path, *beats)
    stand = run.engine.stand
    recorder = Recorder(show=stand.show, place=tmp_path, machine="one", inputs=INPUTS, emit=run.engine.emit)
    stand.on_ended = recorder.ended
    with run:
        for count in (1, 2, 3):
            run.wait(BeatEnded, count)
            run.engine.act("next" if count == 3 else "retry")
        run.over()
    assert [(one.beat, one.value) for one in recorder.finish(beats).figures] == [("one", 20.0)]


def ended(place: Path, *outcomes: Outcome) -> BeatResult:
    """What the ledger has of a beat whose attempts ended so, a second each."""
    run, beat = a_run(place, a_beat("one", shows)), a_beat("one", shows)
    stand = run.engine.stand
    recorder = Recorder(show=stand.show, place=place, machine="one", inputs=INPUTS)
    for outcome in outcomes:
        attempt = (
            stand.replay(a_take("one"), run.engine.emit, lambda: None)
            if outcome == "recorded"
            else stand.attempt(beat, run.engine.emit, lambda: None)
        )
        attempt.scene.began_s = time.monotonic()
        recorder.ended(attempt, beat, Played(outcome=outcome, seconds=1.0))
    return recorder.results["one"]


@pytest.mark.parametrize(
    ("outcomes", "kept", "drilled", "seconds"),
    [
        (("passed", "skipped"), "passed", False, 2.0),
        (("passed", "stopped", "failed"), "passed", False, 3.0),
        (("failed", "passed"), "passed", False, 2.0),
        (("passed", "recorded"), "passed", True, 1.0),
        (("passed", "recorded", "passed"), "passed", True, 2.0),
        (("passed", "recorded", "missed"), "passed", True, 2.0),
        (("missed", "recorded"), "recorded", False, 2.0),
        (("missed", "recorded", "skipped"), "recorded", False, 3.0),
        (("missed", "recorded", "passed"), "passed", True, 3.0),
        (("missed", "skipped"), "skipped", False, 2.0),
    ],
)
def test_a_later_attempt_takes_nothing_from_a_good_one(
    tmp_path: Path, outcomes: tuple[Outcome, ...], kept: Outcome, drilled: bool, seconds: float
) -> None:
    assert ended(tmp_path, *outcomes) == BeatResult(beat="one", outcome=kept, seconds=seconds, drilled=drilled)


def at_own_pace(folder: Path, *pauses_s: float, drill: bool = False) -> Rehearsal:
    """A rehearsal with keys: so long after the end of each beat `next` is pressed."""
    beats = tuple(a_beat(name, shows, say_s=0.1) for name in ("one", "two", "three"))
    place = folder / "place"
    run = a_run(folder, *beats, take_of=lambda beat: takes.usable(place, beat.id, INPUTS))
    recorder = Recorder(show=run.engine.stand.show, place=place, machine="one", inputs=INPUTS)
    run.engine.drill = has_fallback if drill else lambda _: False
    recorder.watch(run.engine)
    with run:
        for beat, pause_s in enumerate(pauses_s):
            run.wait(BeatEnded, beat=beat, count=2 if drill else 1)
            time.sleep(pause_s)
            run.engine.act("next")
        run.over()
    return recorder.finish(beats)


def test_with_keys_a_beat_lasts_until_the_next_one_begins(tmp_path: Path) -> None:
    """Else whoever speaks for a minute after each beat is told that the show fits a slot of one."""
    began = time.monotonic()
    found = at_own_pace(tmp_path, 0.5, 1.0, 0.5)
    took_s = time.monotonic() - began
    assert all(beat.seconds >= pause_s for beat, pause_s in zip(found.beats, (0.5, 1.0, 0.5), strict=True))
    assert 2.0 <= found.seconds <= took_s + 0.1
    assert found.seconds == pytest.approx(sum(beat.seconds for beat in found.beats), abs=0.1)
    lacks = ledger.stage_ready([found], INPUTS, needs((a_beat("two", shows),), 0.9, 1))
    assert any("the show takes" in lack for lack in lacks)


def test_a_take_that_a_rehearsal_alone_plays_is_no_part_of_the_pace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takes.Take, "play", lambda _, scene: scene.deadline.sleep(2))
    found = at_own_pace(tmp_path, 0.0, 0.0, 0.0, drill=True)
    assert all(beat.drilled for beat in found.beats)
    assert found.seconds < 4.0, "and three takes of 2 s"


def test_a_beat_that_fails_leaves_no_take_and_is_named(tmp_path: Path) -> None:
    beats = (a_beat("one", fails), a_beat("two", shows))
    found = rehearsed(a_run(tmp_path, *beats, pace="alone"), tmp_path / "place").finish(beats)
    assert not found.clean
    assert [beat.outcome for beat in found.beats] == ["failed", "passed"]
    missing = ledger.stage_ready([found], INPUTS, needs(beats, 60.0, 1))
    assert "one failed" in missing[0]
    assert isinstance(takes.usable(tmp_path / "place", "one", INPUTS), str)


def test_a_show_that_is_stopped_is_not_whole(tmp_path: Path) -> None:
    beats = (a_beat("one", fails, else_="stop"), a_beat("two", shows))
    found = rehearsed(a_run(tmp_path, *beats, pace="alone"), tmp_path / "place").finish(beats)
    assert not found.whole


def test_on_a_full_disk_the_show_goes_on_without_the_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(takes, "save", full)
    beats = (a_beat("one", shows), a_beat("two", shows))
    run = a_run(tmp_path, *beats, pace="alone")
    rehearsed(run, tmp_path / "place")
    assert [event.outcome for event in run.of(BeatEnded)] == ["passed", "passed"]
    assert run.of(Remark)[0].text == "the take of 'One' is not saved: No space left on device"
    assert not (tmp_path / "place" / "takes").exists()


def test_a_take_that_could_not_be_read_again_is_not_kept(tmp_path: Path) -> None:
    def prints_much(scene: Scene) -> None:
        for _ in range(17):
            scene.emit(say("x" * (1 << 20)))

    run = a_run(tmp_path, a_beat("one", prints_much), pace="alone")
    rehearsed(run, tmp_path / "place")
    assert run.of(Remark)[0].text == "the take of 'One' is not saved: larger than 16777216 bytes"
    assert not (tmp_path / "place" / "takes").exists()
