"""The line to the forms in a machine: panic gets rid of it, whatever holds it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab.flows import live as lines
from lab.flows import snapshot
from lab.flows.snapshot import RestoreReport
from lab.machines import snapshots
from lab.machines.snapshots import RestoreResult
from lab.model.errors import DemoError, LabError
from lab.model.machine import Machine, MachineSpec
from lab.stage.beat.machine import TAG, LiveMachine
from lab.system.wait import Deadline
from tests.unit.stage.scripted import a_lab


class Line(int):
    """A line by its number."""

    def stop(self) -> None:
        """End the order that runs: it takes no notice."""


@dataclass
class Lines:
    """What connects: each line gets a number; `hangs` holds the connection with one back."""

    hangs: dict[int, threading.Event] = field(default_factory=dict)
    begun: int = 0
    closed: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def opened(self, *_: Any) -> Iterator[Line]:
        with self._lock:
            self.begun += 1
            number = self.begun
        if number in self.hangs:
            self.hangs[number].wait(10)
        try:
            yield Line(number)
        finally:
            self.closed.append(number)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Lines:
    found = Lines()
    monkeypatch.setattr(lines, "opened", found.opened)
    monkeypatch.setattr(snapshots, "names", lambda *_: (TAG,))
    machine = Machine(spec=MachineSpec(name="m", provider="qemu"))
    went = RestoreResult(machine=machine, restored=True, reason="", seconds=2.0, behind_s=0.0, standby=None)
    monkeypatch.setattr(snapshot, "restore", lambda *_, **__: RestoreReport(went=went))
    return found


def a_machine(folder: Path) -> LiveMachine:
    asked: Any = None
    return LiveMachine(lab=a_lab(folder), machine="m", asked=asked)


def line_of(machine: LiveMachine) -> Any:
    """The line that it has, made where there is none."""
    return machine.live


def beside(do: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """A thread that does it, and what came of it."""
    told: list[object] = []

    def work() -> None:
        try:
            told.append(do())
        except LabError as error:
            told.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, told


def until(holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it does not come")


def test_panic_does_not_wait_for_a_line_that_is_being_made(tmp_path: Path, made: Lines) -> None:
    made.hangs[1] = threading.Event()
    machine = a_machine(tmp_path)
    thread, told = beside(lambda: line_of(machine))
    until(lambda: made.begun == 1)
    began = time.monotonic()
    assert machine.restore(Deadline.after(10)) == "machine m is back after 2.0 s, restored"
    assert time.monotonic() - began < 1
    assert line_of(machine) == 2, "the beat has a line of its own"
    made.hangs[1].set()
    thread.join(5)
    assert isinstance(told[0], DemoError), "the line to the machine as it was is no use"
    until(lambda: made.closed == [1])
    assert line_of(machine) == 2


def test_an_order_of_before_the_restore_fails_alone(tmp_path: Path, made: Lines) -> None:
    gate, machine = threading.Event(), a_machine(tmp_path)

    def order() -> None:
        with machine.turn():
            gate.wait(10)
            raise DemoError("the machine is gone", fix="x")

    assert line_of(machine) == 1
    thread, told = beside(order)
    until(machine._turn.locked)
    settling, _ = beside(lambda: machine.settle(Deadline.after(0.2)))
    machine.restore(Deadline.after(10))
    assert line_of(machine) == 2
    settling.join(5)
    with machine.turn():  # nobody holds it
        gate.set()
        thread.join(5)
    assert isinstance(told[0], DemoError)
    assert line_of(machine) == 2
    until(lambda: made.closed == [1])


def test_two_that_connect_at_once_share_a_line(tmp_path: Path, made: Lines) -> None:
    made.hangs[1] = threading.Event()
    machine = a_machine(tmp_path)
    thread, told = beside(lambda: line_of(machine))
    until(lambda: made.begun == 1)
    assert line_of(machine) == 2
    made.hangs[1].set()
    thread.join(5)
    assert told == [2]
    until(lambda: made.closed == [1])
