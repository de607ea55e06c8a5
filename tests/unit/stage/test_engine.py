"""Every key, at every moment of a beat, and every way in which a beat can go wrong: the show always goes on."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path

import pytest

from lab.model.errors import DemoError
from lab.stage.beat.expect import Text
from lab.stage.beat.scene import Scene
from lab.stage.diagnosis.critic import Critic
from lab.stage.history.inputs import Inputs
from lab.stage.history.ledger import BeatResult, Rehearsal
from lab.stage.stream.events import (
    BeatEnded,
    BeatStarted,
    Curtain,
    Line,
    Notes,
    Remark,
    ShowEnded,
    ShowStarted,
    StageEvent,
)
from lab.stage.stream.records import StageRecord
from tests.unit.stage.scripted import a_beat, a_run, a_take, say
from tests.unit.stage.test_machine import until


def wait_for_end(scene: Scene) -> None:
    scene.deadline.sleep(60)


def outcomes(events: list[StageEvent]) -> list[str]:
    return [event.outcome for event in events if isinstance(event, BeatEnded)]


def test_a_show_that_runs_alone_plays_every_beat_once(tmp_path: Path) -> None:
    beats = [a_beat(name, lambda scene: scene.emit(say("hello"))) for name in ("one", "two", "three")]
    with a_run(tmp_path, *beats, pace="alone") as run:
        run.over()
    assert outcomes(run.events) == ["passed"] * 3
    assert isinstance(run.events[0], ShowStarted)
    assert run.events[-1].outcomes == ("passed",) * 3  # type: ignore[union-attr]
    assert run.cast.closed == 1


def test_the_clock_of_the_rehearsals_counts_what_the_speaker_says(tmp_path: Path) -> None:
    inputs = Inputs(show="", seed=1)
    usual = [
        Rehearsal(
            id=str(number),
            date="",
            inputs=inputs,
            beats=tuple(BeatResult(beat=name, outcome="passed", seconds=seconds) for name in ("one", "two")),
            seconds=60.0,
        )
        for number, seconds in enumerate((4.0, 5.0, 30.0))
    ]
    beats = [a_beat("one", lambda _: None), a_beat("two", lambda _: None, say_s=20.0), a_beat("new", lambda _: None)]
    with a_run(tmp_path, *beats, critic=Critic.of(usual, inputs)) as run:
        run.wait(BeatEnded, beat=0)
    assert [card.usual_s for card in run.of(ShowStarted)[0].beats] == [5.0, 20.0, None]


def test_on_stage_a_beat_waits_for_a_key(tmp_path: Path) -> None:
    with a_run(tmp_path, a_beat("one", lambda _: None), a_beat("two", lambda _: None)) as run:
        run.wait(BeatEnded, beat=0)
        time.sleep(0.3)
        assert len(run.of(BeatStarted)) == 1
        began = time.monotonic()
        run.engine.act("next")
        run.wait(BeatStarted, beat=1)
        assert time.monotonic() - began < 0.1
        run.wait(BeatEnded, beat=1)
        run.engine.act("next")
        run.over()
    assert isinstance(run.events[-1], ShowEnded)


def test_where_no_key_can_come_the_show_goes_on_by_itself(tmp_path: Path) -> None:
    with a_run(tmp_path, *(a_beat(name, lambda _: None) for name in ("one", "two", "three"))) as run:
        run.wait(BeatEnded, beat=0)
        run.engine.act("alone")
        run.over()
    assert [one.outcome for one in run.of(BeatEnded)] == ["passed"] * 3
    assert "no key can come" in run.of(Remark)[0].text


def test_next_in_a_beat_waits_for_its_end_and_twice_leaves_it(tmp_path: Path) -> None:
    gate = threading.Event()
    with a_run(tmp_path, a_beat("one", lambda _: gate.wait(10)), a_beat("two", wait_for_end)) as run:
        run.wait(BeatStarted, beat=0)
        run.engine.act("next")
        run.wait(Remark)
        gate.set()
        run.wait(BeatStarted, beat=1)  # without another key
        run.engine.act("next")
        run.engine.act("next")
        run.over()
    assert outcomes(run.events) == ["passed", "skipped"]


def test_a_beat_that_stops_the_show_waits_whatever_was_pressed_before(tmp_path: Path) -> None:
    gate = threading.Event()

    def fails(_: Scene) -> None:
        gate.wait(10)
        raise DemoError("no", fix="x")

    with a_run(tmp_path, a_beat("one", fails, else_="stop"), a_beat("two", wait_for_end)) as run:
        run.wait(BeatStarted)
        run.engine.act("next")
        run.wait(Remark)
        gate.set()
        assert run.wait(Remark, count=2).text == "the show waits for a key: no"
        time.sleep(0.3)
        assert len(run.of(BeatStarted)) == 1
        run.engine.act("next")
        run.wait(BeatStarted, beat=1)


def test_back_goes_only_where_a_beat_may_be_repeated(tmp_path: Path) -> None:
    beats = [a_beat("one", lambda _: None), a_beat("two", lambda _: None, again=True), a_beat("three", lambda _: None)]
    with a_run(tmp_path, *beats) as run:
        for at in (0, 1):
            run.wait(BeatEnded, beat=at)
            run.engine.act("next")
        run.wait(BeatEnded, beat=2)
        run.engine.act("back")
        run.wait(BeatEnded, beat=1, count=2)
        run.engine.act("back")
        assert "may not be repeated" in run.wait(Remark).text
    assert [event.beat for event in run.of(BeatStarted)] == [0, 1, 2, 1]


@pytest.mark.parametrize(("to", "played"), [("2", [0, 2]), ("0", [0, 0]), ("7", [0]), ("x", [0]), ("9" * 5000, [0])])
def test_jump_to_a_beat(tmp_path: Path, to: str, played: list[int]) -> None:
    beats = [a_beat(name, lambda _: None, again=True) for name in ("one", "two", "three")]
    with a_run(tmp_path, *beats) as run:
        run.wait(BeatEnded, beat=0)
        run.engine.act("jump", to)
        run.wait(BeatEnded, count=2) if len(played) == 2 else run.wait(Remark)
    assert [event.beat for event in run.of(BeatStarted)] == played


def test_retry_ends_the_attempt_and_what_it_still_says_is_not_seen(tmp_path: Path) -> None:
    late = threading.Event()

    def hangs_first(scene: Scene, calls: list[Scene] = []) -> None:  # noqa: B006 - counts
        calls.append(scene)
        if len(calls) == 1:
            late.wait(10)  # takes no notice of its end
        scene.emit(say(f"call {len(calls)}"))

    with a_run(tmp_path, a_beat("one", hangs_first)) as run:
        run.wait(BeatStarted)
        run.engine.act("retry")
        run.wait(BeatEnded, outcome="passed")
        late.set()
        time.sleep(0.2)
    assert outcomes(run.events) == ["stopped", "passed"]
    assert [line.text for line in run.of(Line)] == ["call 2"]


def test_a_beat_that_hangs_ends_with_its_budget_and_is_tried_once_more(tmp_path: Path) -> None:
    beat = a_beat("one", lambda _: time.sleep(5), budget_s=0.3)
    with a_run(tmp_path, beat, a_beat("two", lambda _: None), pace="alone") as run:
        run.over(5)
    assert outcomes(run.events) == ["missed", "missed", "passed"]
    assert run.of(BeatEnded)[0].reason == "not done within its budget of 0.3 s"
    assert run.of(Remark)[-1].text == "One: there is no take of it"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DemoError("the agent is gone", fix="x"), "the agent is gone"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "/x: No space left on device"),
        (ExceptionGroup("builds", [DemoError("a fails", fix="x"), DemoError("b fails", fix="x")]), "a fails; b fails"),
        (ZeroDivisionError("oh"), "this is a bug in lab: ZeroDivisionError: oh"),
        (SystemExit(3), "this is a bug in lab: SystemExit: 3"),
    ],
)
def test_whatever_a_beat_raises_the_take_follows_and_the_show_goes_on(
    tmp_path: Path, error: BaseException, reason: str
) -> None:
    def fails(_: Scene) -> None:
        raise error

    beats = [a_beat("one", fails, else_="take"), a_beat("two", lambda _: None)]
    with a_run(tmp_path, *beats, pace="alone", take_of=lambda beat: a_take(beat.id)) as run:
        run.over()
    assert outcomes(run.events) == ["failed", "recorded", "passed"]
    assert run.of(BeatEnded)[0].reason == reason
    assert [event.recorded for event in run.of(BeatStarted)] == ["", "2026-02-01", ""]
    assert [line.text for line in run.of(Line)] == ["from the take"]


@pytest.mark.parametrize(
    ("otherwise", "expected"),
    [
        ("retry", ["missed", "missed", "recorded", "passed"]),
        ("take", ["missed", "recorded", "passed"]),
        ("skip", ["missed", "passed"]),
        ("stop", ["missed"]),
    ],
)
def test_what_was_not_seen(tmp_path: Path, otherwise: str, expected: list[str]) -> None:
    beat = a_beat("one", lambda scene: scene.emit(say("five")), expect=(Text(text="six"),), else_=otherwise)
    with a_run(
        tmp_path, beat, a_beat("two", lambda _: None), pace="alone", take_of=lambda beat: a_take(beat.id)
    ) as run:
        run.over()
    assert outcomes(run.events) == expected
    assert run.of(BeatEnded)[0].reason == "no line matches 'six'"


def test_the_take_is_only_left_to_when_there_is_one(tmp_path: Path) -> None:
    with a_run(tmp_path, a_beat("one", wait_for_end), take_of=lambda _: "it is of another kernel") as run:
        run.wait(BeatStarted)
        run.engine.act("recorded")
        assert run.wait(Remark).text == "it is of another kernel"
        assert run.of(BeatEnded) == []  # the beat plays on


def test_curtain_shell_and_an_unknown_key_leave_the_beat_alone(tmp_path: Path) -> None:
    shells: list[object] = []
    with a_run(tmp_path, a_beat("one", wait_for_end), a_beat("two", lambda _: None), suspended=shells.append) as run:
        run.wait(BeatStarted)
        run.engine.act("curtain")
        run.wait(Curtain, down=True)
        run.engine.act("curtain")
        run.wait(Curtain, down=False)
        run.engine.act("shell")
        assert "between two beats" in run.wait(Remark).text
        run.engine.act("fanfare")
        run.wait(Remark, text="no key of a show is called 'fanfare'")
        run.engine.act("skip")
        run.wait(BeatEnded, beat=1)
        run.engine.act("shell")
        until(lambda: bool(shells) and not run.engine.stand.in_shell)
        run.engine.act("back")
        run.wait(BeatStarted, beat=0, count=2)
    assert len(shells) == 1


def test_a_view_that_comes_late_sees_the_same_and_one_that_fails_is_let_go(tmp_path: Path) -> None:
    def broken(_: StageRecord) -> None:
        raise RuntimeError("no screen")

    late: list[StageRecord] = []
    with a_run(tmp_path, a_beat("one", lambda _: None, notes="Breathe."), a_beat("two", lambda _: None)) as run:
        run.wait(BeatEnded, beat=0)
        run.engine.subscribe(late.append)
        assert [record.event for record in late] == run.events
        with pytest.raises(RuntimeError):  # at once, to whoever brings it
            run.engine.subscribe(broken)
        failing = [False]
        run.engine.subscribe(lambda record: broken(record) if failing[0] else None)
        failing[0] = True
        run.engine.act("next")
        run.wait(BeatEnded, beat=1)
        assert "a view of the show has failed" in run.wait(Remark).text
    assert [record.seq for record in late] == list(range(1, len(late) + 1))
    assert run.of(Notes)[0].text == "Breathe."


def test_ctrl_c_ends_the_show(tmp_path: Path) -> None:
    with a_run(tmp_path, a_beat("one", wait_for_end)) as run:
        run.wait(BeatStarted)
        run.engine.stand.lab.cancel.set()
        run.over(2)
    assert outcomes(run.events) == ["stopped"]
    assert run.cast.closed == 1
