"""A beat that hands the terminal over: it lasts as long as the speaker wants, and opens one shell."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from lab.model.errors import DemoError
from lab.stage.kinds.shell import ShellBeat
from lab.stage.show.show import Beat, BeatKeys
from lab.stage.stream.events import BeatEnded, BeatStarted, Curtain, Remark
from tests.unit.stage.scripted import Run, a_beat, a_run
from tests.unit.stage.test_machine import until


def a_shell(budget_s: float) -> Beat:
    return Beat(keys=BeatKeys(id="sh", title="Shell", kind="shell", budget_s=budget_s), does=ShellBeat(), expect=())


def test_a_shell_outlasts_its_budget_and_is_opened_once(tmp_path: Path) -> None:
    left, opened = threading.Event(), []

    def suspended(argv: list[str]) -> None:
        opened.append(argv)
        left.wait(10)

    with a_run(tmp_path, a_shell(0.2), a_beat("next", lambda _: None), pace="alone", suspended=suspended) as run:
        run.wait(BeatStarted, beat=0)
        time.sleep(0.8)
        assert run.of(BeatEnded) == []
        left.set()
        run.over()
    assert [event.outcome for event in run.of(BeatEnded)] == ["passed", "passed"]
    assert len(opened) == 1


def test_a_key_of_the_page_leaves_a_shell_open_and_no_second_one_opens(tmp_path: Path) -> None:
    left = threading.Event()
    shells: list[object] = []

    def suspended(argv: list[str]) -> None:
        shells.append(argv)
        left.wait(10)

    with a_run(tmp_path, a_shell(0.2), a_beat("next", lambda _: None), suspended=suspended) as run:
        run.wait(BeatStarted, beat=0)
        time.sleep(0.4)
        run.engine.act("skip")
        run.wait(BeatEnded, beat=1)
        run.engine.act("shell")
        assert "already" in run.wait(Remark).text
        left.set()
    assert len(shells) == 1


def test_a_shell_that_cannot_be_opened_is_not_tried_again(tmp_path: Path) -> None:
    def suspended(_: list[str]) -> None:
        time.sleep(0.3)
        raise DemoError("there is no machine", fix="x")

    with a_run(tmp_path, a_shell(0.2), pace="alone", suspended=suspended) as run:
        run.over()
    assert [(event.outcome, event.reason) for event in run.of(BeatEnded)] == [("failed", "there is no machine")]
    assert run.of(Remark)[-1].text == "Shell: there is no take of it"


class Terminal:
    """Where shells open: each lasts until it is left."""

    def __init__(self) -> None:
        self.opened: list[threading.Event] = []

    def suspended(self, _: list[str]) -> None:
        left = threading.Event()
        self.opened.append(left)
        left.wait(10)

    def has_opened(self, count: int) -> None:
        until(lambda: len(self.opened) == count)

    def leave(self) -> None:
        self.opened[-1].set()


def refusals(run: Run) -> int:
    return len([one for one in run.of(Remark) if one.text == "a shell is open: leave it first"])


def test_a_key_in_a_shell_is_refused_and_not_kept(tmp_path: Path) -> None:
    terminal = Terminal()
    beats = [a_beat(name, lambda _: None) for name in ("one", "two", "three", "four", "five")]
    with a_run(tmp_path, *beats, suspended=terminal.suspended) as run:
        run.wait(BeatEnded, beat=0)
        for count in (1, 2):
            run.engine.act("shell")
            terminal.has_opened(count)
            for _ in range(4):
                run.engine.act("next")
            run.engine.act("curtain")
            run.wait(Curtain, down=count == 1)
            assert refusals(run) == count, "one remark for each shell"
            terminal.leave()
            time.sleep(0.3)
        assert [event.beat for event in run.of(BeatStarted)] == [0]
        run.engine.act("next")
        run.wait(BeatEnded, beat=1)


def test_a_show_that_runs_alone_waits_for_the_end_of_a_shell(tmp_path: Path) -> None:
    terminal = Terminal()
    with a_run(
        tmp_path, a_beat("one", lambda _: None), a_beat("two", lambda _: None), suspended=terminal.suspended
    ) as run:
        run.wait(BeatEnded, beat=0)
        run.engine.act("shell")
        run.engine.act("alone")
        time.sleep(0.4)
        assert [event.beat for event in run.of(BeatStarted)] == [0]
        terminal.leave()
        run.over()
    assert [event.beat for event in run.of(BeatStarted)] == [0, 1]


def test_a_show_can_be_ended_and_its_machine_restored_behind_a_shell(tmp_path: Path) -> None:
    terminal = Terminal()
    with a_run(tmp_path, a_beat("one", lambda _: None, again=True), suspended=terminal.suspended) as run:
        run.wait(BeatEnded, beat=0)
        run.engine.act("shell")
        terminal.has_opened(1)
        run.engine.act("shell")
        assert "already" in run.wait(Remark).text
        run.engine.act("panic")
        run.wait(BeatEnded, beat=0, count=2)
        run.engine.act("stop")
        run.over()
        terminal.leave()
    assert run.cast.restored == 1
    assert len(terminal.opened) == 1


def test_a_shell_beat_that_was_left_opens_none_later(tmp_path: Path) -> None:
    terminal = Terminal()
    with a_run(tmp_path, a_shell(0.2), a_beat("next", lambda _: None), suspended=terminal.suspended) as run:
        run.wait(BeatStarted, beat=0)
        terminal.has_opened(1)
        for count in (2, 3):
            run.engine.act("retry")
            run.wait(BeatStarted, beat=0, count=count)
        run.engine.act("skip")
        run.wait(BeatEnded, beat=1)
        terminal.leave()
        time.sleep(0.3)
        assert len(terminal.opened) == 1
