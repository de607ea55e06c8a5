"""A machine that could not tell what it is when the show began is asked again when it came back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lab.model.errors import DemoError
from lab.model.lab import Lab
from lab.stage.beat.scene import Scene
from lab.stage.history import ledger, profile, takes
from lab.stage.history.ledger import BeatResult, Figure, Rehearsal
from lab.stage.history.profile import Profile
from lab.stage.kinds.load import LoadBeat
from lab.stage.play import opening
from lab.stage.play.opening import ShowRequest
from lab.stage.show import show_file
from lab.stage.stream.events import BeatEnded, BeatStarted, Remark, Value
from tests.unit.stage.scripted import Cast, Run, a_lab
from tests.unit.stage.test_ledger import INPUTS
from tests.unit.stage.test_machine import until

SHOW = """
schema: 1
title: T
forms: [baseline, ebpf]
beats:
  - {id: duet, kind: load, title: Duet, again: true}
  - {id: trio, kind: load, title: Trio}
"""


@dataclass
class Machines:
    """Those of a show, each rehearsed. `down` and `other` (forms on standby): by name; `asked`: in their order."""

    lab: Lab
    folder: Path
    down: set[str] = field(default_factory=set)
    other: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    casts: dict[str, Cast] = field(default_factory=dict)
    gate: Callable[[], object] = lambda: None

    def profile(self, _: Lab, name: str, __: object) -> Profile:
        self.asked.append(name)
        if name in self.down:
            raise DemoError("the standby process exited", fix="x")
        wrong = ("ebpf is of another build",) if name in self.other else ()
        return Profile(inputs=replace(INPUTS, seed=2) if wrong else INPUTS, wrong=wrong)

    def cast(self, *, machine: str, **_: Any) -> Cast:
        def back(_: object) -> None:
            self.gate()
            self.down.discard(machine)
            self.other.discard(machine)
            self.casts[machine].state = "up"

        state: Any = "gone" if machine in self.down else "up"
        return self.casts.setdefault(machine, Cast(machine=machine, state=state, on_restore=back))

    def show(self, standby: str = "") -> Run:
        (self.folder / "s.yaml").write_text(SHOW)
        show = show_file.load(self.folder / "s.yaml")
        for machine in ("one", "two"):
            place = takes.folder(self.lab.paths, machine, show.name)
            for number in range(5):
                ledger.add(place, rehearsed(number))
        engine = opening.engine_of(self.lab, show, ShowRequest(standby=standby))
        return Run(engine, self.casts["one"])


def rehearsed(number: int) -> Rehearsal:
    return Rehearsal(
        id=f"{number:03}",
        date="",
        inputs=INPUTS,
        seconds=9.0,
        beats=tuple(BeatResult(beat=name, outcome="passed", seconds=3.0) for name in ("duet", "trio")),
        figures=tuple(
            Figure(beat=name, name="x", unit="ms", value=10.0 + number / 10, form="ebpf") for name in ("duet", "trio")
        ),
    )


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machines:
    lab = a_lab(tmp_path)
    found = Machines(
        replace(lab, config=replace(lab.config, machine=replace(lab.config.machine, name="one"))), tmp_path
    )
    monkeypatch.setattr(profile, "of", found.profile)
    monkeypatch.setattr(opening, "LiveMachine", found.cast)

    def plays(_: LoadBeat, scene: Scene) -> None:
        scene.emit(Value(at_ms=0, name="x", title="x", value=10.2, unit="ms", form="ebpf"))

    monkeypatch.setattr(LoadBeat, "play", plays)
    return found


def test_one_that_was_down_has_its_baseline_after_a_panic(machines: Machines) -> None:
    machines.down.add("one")
    with machines.show() as run:
        run.wait(BeatEnded)
        run.engine.act("panic")
        run.wait(BeatEnded, count=2)
    assert [value.judged for value in run.of(Value)] == ["no baseline", "on"]


def test_one_with_other_forms_has_its_baseline_after_a_panic(machines: Machines) -> None:
    machines.other.add("one")
    with machines.show() as run:
        run.wait(BeatEnded)
        run.engine.act("panic")
        run.wait(BeatEnded, count=2)
    assert [value.judged for value in run.of(Value)] == ["no baseline", "on"]


def test_one_that_told_what_it_is_is_not_asked_again(machines: Machines) -> None:
    """A panic is short: the beat is back in seconds."""
    with machines.show() as run:
        run.wait(BeatEnded)
        run.engine.act("panic")
        run.wait(BeatEnded, count=2)
    assert machines.asked == ["one"]
    assert [value.judged for value in run.of(Value)] == ["on", "on"]


def test_a_beat_that_waits_for_a_restore_is_judged_by_what_came_of_it(machines: Machines) -> None:
    gate = threading.Event()
    machines.gate = lambda: gate.wait(10)
    machines.down.add("one")
    with machines.show() as run:
        run.wait(BeatEnded)
        run.engine.act("panic")
        until(lambda: machines.casts["one"].restored == 1)
        run.engine.act("next")
        run.engine.act("next")  # leaves the restore, which goes on
        run.wait(BeatStarted, beat=1)
        gate.set()
        run.wait(BeatEnded, beat=1)
    assert [value.judged for value in run.of(Value)] == ["no baseline", "on"]


def test_the_first_machine_that_was_down_has_its_baseline_when_the_show_comes_back(machines: Machines) -> None:
    machines.down.add("one")
    with machines.show("two") as run:
        run.wait(BeatEnded)
        for machine in ("two", "one"):
            run.engine.act("standby")
            run.wait(Remark, text=f"standby: the show is on {machine} now" + ("; restored" if machine == "one" else ""))
            run.wait(BeatEnded, count=2 if machine == "two" else 3)
    assert [value.judged for value in run.of(Value)] == ["no baseline", "on", "on"]
    assert (machines.casts["one"].restored, machines.casts["two"].restored) == (1, 0)
