"""The key for the second machine: the show goes on there, and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.model.errors import DemoError
from lab.stage.beat.cast import Alive
from lab.stage.play.stand import Side, Stand
from lab.stage.stream.events import BeatEnded, BeatStarted, Remark
from lab.system.wait import Deadline
from tests.unit.stage.scripted import Cast, a_beat, a_lab, a_run, a_show
from tests.unit.stage.test_engine import wait_for_end
from tests.unit.stage.test_machine import until


@pytest.mark.parametrize(("state", "asked_in"), [("up", ["up"]), ("gone", ["gone", "up"])])
def test_standby_switches_to_a_machine_that_is_restored_first_when_it_is_down(
    tmp_path: Path, state: Alive, asked_in: list[Alive]
) -> None:
    """Its rehearsals are compared with what it is after the restore: a machine that is down cannot be asked."""
    other, beat = Cast(machine="two", state=state), a_beat("one", wait_for_end, again=True)
    other.on_restore = lambda _: setattr(other, "state", "up")
    asked: list[Alive] = []

    def side() -> Side:
        asked.append(other.state)
        return Side(cast=other)

    with a_run(tmp_path, beat, other=side, other_name="two") as run:
        run.wait(BeatStarted, machine="one")
        run.engine.act("standby")
        run.wait(BeatStarted, machine="two")
        assert asked == asked_in
        assert other.restored == len(asked_in) - 1
        run.engine.act("standby", "one")
        run.wait(BeatStarted, machine="one", count=2)


def test_standby_without_a_second_machine(tmp_path: Path) -> None:
    with a_run(tmp_path, a_beat("one", wait_for_end)) as run:
        run.wait(BeatStarted)
        run.engine.act("standby")
        assert "--standby" in run.wait(Remark).text


def test_standby_twice_restores_the_second_machine_once(tmp_path: Path) -> None:
    gate, other, beat = threading.Event(), Cast(machine="two", state="gone"), a_beat("one", wait_for_end, again=True)

    def slow(_: Deadline) -> None:
        other.state = "restoring"
        gate.wait(10)
        other.state = "up"

    other.on_restore = slow
    asked: list[Alive] = []

    def side() -> Side:
        asked.append(other.state)
        return Side(cast=other)

    with a_run(tmp_path, beat, other=side, other_name="two") as run:
        run.wait(BeatStarted, machine="one")
        run.engine.act("standby")
        until(lambda: other.restored == 1)
        run.engine.act("standby")
        time.sleep(0.3)
        run.engine.act("retry")  # leaves the restore, which goes on beside the beat
        run.wait(BeatStarted, machine="one", count=2)
        run.engine.act("standby")
        time.sleep(0.3)
        assert not [event for event in run.of(BeatStarted) if event.machine == "two"], "it is being restored"
        gate.set()
        run.wait(BeatStarted, machine="two")
    assert other.restored == 1
    assert asked[-1] == "up", "what it is compared with is asked when it can tell"


def test_a_restore_that_was_left_by_two_switches_is_still_the_only_one(tmp_path: Path) -> None:
    gates = {name: threading.Event() for name in ("one", "two")}
    casts = {name: Cast(machine=name) for name in gates}

    def hangs(name: str) -> Callable[[Deadline], None]:
        def hang(_: Deadline) -> None:
            gates[name].wait(10)

        return hang

    for name, cast in casts.items():
        cast.on_restore = hangs(name)
    beat = a_beat("one", wait_for_end, again=True)
    with a_run(tmp_path, beat, cast=casts["one"], other=lambda: Side(cast=casts["two"]), other_name="two") as run:
        run.wait(BeatStarted)
        run.engine.act("panic")
        until(lambda: casts["one"].restored == 1)
        run.engine.act("standby")
        run.wait(BeatStarted, machine="two")
        run.engine.act("panic")
        until(lambda: casts["two"].restored == 1)
        run.engine.act("standby")  # back, once the first machine is
        time.sleep(0.3)
        assert not [event for event in run.of(BeatStarted)[1:] if event.machine == "one"]
        gates["one"].set()
        run.wait(BeatStarted, machine="one", count=2)
        assert casts["one"].restored == 1
        gates["two"].set()


@pytest.mark.parametrize("again", [True, False])
def test_a_switch_that_fails_plays_only_what_was_not_shown(tmp_path: Path, *, again: bool) -> None:
    played: list[str] = []

    def lost() -> Side:
        raise DemoError("two is not reachable", fix="x")

    beat = a_beat("one", lambda scene: played.append(scene.cast.machine), again=again)
    with a_run(tmp_path, beat, other=lost, other_name="two") as run:
        run.wait(BeatEnded)
        run.engine.act("standby")
        run.wait(Remark, text="standby: two is not reachable")
        time.sleep(0.3)
    assert played == ["one"]


def test_a_key_that_comes_at_the_switch_finds_it_done_or_not_at_all(tmp_path: Path) -> None:
    ended_before: list[bool] = []

    class Slow(Stand):
        """Its switch takes a while, in which a key ends the attempt."""

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "side" and value.cast.machine == "two":
                key = threading.Thread(target=attempt.scene.close)
                key.start()
                key.join(0.3)
                ended_before.append(attempt.scene.over)
            object.__setattr__(self, name, value)

    lab, side = a_lab(tmp_path), Side(cast=Cast())
    stand = Slow(lab=lab, show=a_show(tmp_path), side=side, other=lambda: Side(cast=Cast(machine="two")))
    over = threading.Event()
    attempt = stand.switching(lambda _: None, over.set)
    attempt.start()
    assert over.wait(10)
    assert attempt._error is None
    assert ended_before == [False], "who ends it sees one machine from then on"
    assert stand.cast.machine == "two"
