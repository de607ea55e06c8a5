"""A beat that hands the terminal over: it lasts as long as the speaker wants, and opens one shell."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from lab.model.errors import DemoError
from lab.stage.kinds.shell import ShellBeat
from lab.stage.show.show import Beat, BeatKeys
from lab.stage.stream.events import BeatEnded, BeatStarted, Remark
from tests.unit.stage.scripted import a_beat, a_run


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
