"""Panic: the machine is restored once, and the same beat plays again; no other key waits for it."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from lab.machines import lifecycle
from lab.model.errors import DemoError
from lab.stage.beat.scene import Scene
from lab.stage.kinds.command import CommandBeat
from lab.stage.kinds.kind import Kind
from lab.stage.kinds.load import LoadBeat
from lab.stage.kinds.shell import ShellBeat
from lab.stage.show.show import Beat, BeatKeys
from lab.stage.stream.events import BeatEnded, BeatStarted, Remark
from lab.system.wait import Deadline
from tests.unit.stage.scripted import Cast, a_beat, a_run, a_take
from tests.unit.stage.test_machine import until


def wait_for_end(scene: Scene) -> None:
    scene.deadline.sleep(60)


def test_panic_restores_and_plays_the_same_beat_again(tmp_path: Path) -> None:
    beats = [a_beat("one", lambda _: None), a_beat("two", wait_for_end)]
    with a_run(tmp_path, *beats) as run:
        run.wait(BeatEnded, beat=0)
        run.engine.act("next")
        run.wait(BeatStarted, beat=1)
        run.engine.act("panic")
        run.wait(BeatStarted, beat=1, count=2)
        assert run.cast.restored == 1
        assert "restored" in run.wait(Remark, count=2).text


def test_a_panic_that_hangs_can_be_left_by_a_key(tmp_path: Path) -> None:
    cast = Cast(on_restore=lambda deadline: deadline.sleep(60))
    with a_run(tmp_path, a_beat("one", lambda _: None), cast=cast, take_of=lambda beat: a_take(beat.id)) as run:
        run.wait(BeatEnded, beat=0)
        run.engine.act("panic")
        time.sleep(0.1)
        run.engine.act("recorded")
        run.wait(BeatEnded, outcome="recorded")


def test_panic_twice_restores_once(tmp_path: Path) -> None:
    gate = threading.Event()

    def hangs(_: Deadline) -> None:
        gate.wait(10)

    cast = Cast(on_restore=hangs)
    with a_run(tmp_path, a_beat("one", wait_for_end), cast=cast) as run:
        run.wait(BeatStarted)
        run.engine.act("panic")
        run.engine.act("panic")
        run.wait(Remark, text="already restoring machine one")
        run.engine.act("retry")  # leaves the restore, which goes on beside the beat
        run.wait(BeatStarted, count=2)
        run.engine.act("panic")
        run.wait(Remark, text="already restoring machine one", count=2)
        assert cast.restored == 1
        gate.set()
        run.engine.act("skip")
        run.over()


def test_panic_again_after_a_restore(tmp_path: Path) -> None:
    with a_run(tmp_path, a_beat("one", lambda _: None)) as run:
        for number in (1, 2):
            run.wait(BeatEnded, count=number)
            run.engine.act("panic")
        run.wait(BeatEnded, count=3)
    assert run.cast.restored == 2


@pytest.mark.parametrize("shown", [True, False])
def test_a_restore_that_fails_plays_only_what_was_not_shown(tmp_path: Path, *, shown: bool) -> None:
    """A machine that is not as it was is nothing to repeat a beat on."""
    played: list[str] = []

    def fails(_: Deadline) -> None:
        raise DemoError("no snapshot", fix="x")

    def play(scene: Scene) -> None:
        played.append(scene.cast.machine)
        if not shown:
            scene.deadline.sleep(60)

    with a_run(tmp_path, a_beat("one", play), cast=Cast(on_restore=fails)) as run:
        run.wait(BeatEnded if shown else BeatStarted)
        run.engine.act("panic")
        run.wait(Remark, text="restore: no snapshot")
        if not shown:
            run.wait(BeatStarted, count=2)
        time.sleep(0.3)
    assert len(played) == (1 if shown else 2)


def test_a_beat_that_gives_orders_waits_for_a_restore_that_was_left(tmp_path: Path) -> None:
    gate, cast = threading.Event(), Cast()

    def hangs(_: Deadline) -> None:
        gate.wait(10)

    cast.on_restore = hangs
    beat = Beat(
        keys=BeatKeys(id="duet", title="Duet", kind="load", budget_s=10.0, again=True),
        does=LoadBeat(forms=("baseline", "ebpf"), load_s=2.0),
    )
    with a_run(tmp_path, beat, cast=cast) as run:
        run.wait(BeatEnded)
        given = len(cast.forms.asked)
        run.engine.act("panic")
        until(lambda: cast.restored == 1)
        run.engine.act("retry")
        run.wait(BeatStarted, count=2)
        time.sleep(0.3)
        assert len(cast.forms.asked) == given, "the machine is being restored"
        gate.set()
        until(lambda: len(cast.forms.asked) > given)


def until_opened(gate: threading.Event) -> Cast:
    """A machine that is being restored until the gate opens."""

    def restore(_: Deadline) -> None:
        gate.wait(10)

    return Cast(on_restore=restore)


@pytest.mark.parametrize(
    ("kind", "does"),
    [("command", CommandBeat(on="machine", argv=("uname",))), ("shell", ShellBeat(on="machine"))],
)
def test_a_program_in_the_machine_waits_for_a_restore_that_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, does: Kind
) -> None:
    gate, begun = threading.Event(), threading.Event()
    cast = until_opened(gate)

    def asked(*_: object) -> NoReturn:
        begun.set()
        raise DemoError("nothing is here", fix="x")

    monkeypatch.setattr(lifecycle, "reach", asked)
    monkeypatch.setattr(lifecycle, "ssh_argv", asked)
    inside = Beat(keys=BeatKeys(id="in", title="In", kind=kind, budget_s=0.5, else_="stop"), does=does)
    inside = inside if kind == "shell" else replace(inside, keys=replace(inside.keys, budget_s=10.0))
    with a_run(tmp_path, a_beat("one", lambda _: None), inside, cast=cast) as run:
        run.wait(BeatEnded, beat=0)
        run.engine.act("panic")
        until(lambda: cast.restored == 1)
        run.engine.act("skip")
        run.wait(BeatStarted, beat=1)
        assert not begun.wait(0.8), "the machine is being restored"
        gate.set()
        assert begun.wait(5)
        assert run.wait(BeatEnded, beat=1).reason == "nothing is here"


def test_a_command_of_this_host_waits_for_no_restore(tmp_path: Path) -> None:
    gate = threading.Event()
    cast = until_opened(gate)
    here = Beat(
        keys=BeatKeys(id="here", title="Here", kind="command", budget_s=10.0),
        does=CommandBeat(argv=(sys.executable, "-c", "")),
    )
    with a_run(tmp_path, a_beat("one", lambda _: None), here, cast=cast) as run:
        run.wait(BeatEnded, beat=0)
        run.engine.act("panic")
        until(lambda: cast.restored == 1)
        run.engine.act("skip")
        assert run.wait(BeatEnded, beat=1).outcome == "passed"
        gate.set()


def test_the_beat_again_is_refused_in_a_restore_where_it_may_not_be_repeated(tmp_path: Path) -> None:
    """The restore goes on, and plays it: it was asked for before."""
    gate = threading.Event()

    def hangs(_: Deadline) -> None:
        gate.wait(10)

    with a_run(tmp_path, a_beat("one", lambda _: None), cast=Cast(on_restore=hangs)) as run:
        run.wait(BeatEnded)
        run.engine.act("panic")
        run.engine.act("retry")
        run.wait(Remark, text="'One' may not be repeated: t plays its take")
        gate.set()
        run.wait(BeatEnded, count=2)
