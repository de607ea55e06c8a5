"""A live load that is stopped, follows another, or has a machine that stands still: what it tells stays true."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from lab.guest.linux import waiting
from lab.guest.linux.line_stream import LineStream
from lab.guest.live import load as live_load
from lab.guest.live import stragglers
from lab.guest.live.load import LiveLoad
from lab.guest.live.orders import OrderStopped
from lab.guest.wire.live import FormWindow, LoadEnded, Order, PartEnded
from tests.unit.runs.test_plan import made

PER_REQUEST = 4  # spans of one request of type browse
TALLY = {"sent": 120, "done": 120, "errors": 0, "late": 0, "in_flight": 0, "p50_ns": 5_000_000, "p99_ns": 9_000_000}
OURS = {"baseline": {**TALLY, "by_type": {"browse": 120}, "builds": {"b": 120}}}
TOTAL = {"ended": True, "seconds": 20.0, "forms": {"baseline": {**TALLY, "builds": {"b": 120}}}}
ORDER = Order(id="o", kind="load", rate_rps=100.0, requests=120)


class Machine:
    """One form and its generator, in a time of their own. script: seconds -> what then happens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, clock: str = "real") -> None:
        self.now, self.script = 100.0, list[tuple[float, Any]]()
        self.told: list[Any] = []
        self.killed = self.stopped = False
        self.spans = 0
        self.begins: Callable[[], None] = lambda: None
        plan = made(clock=clock, requests=120, rate_rps=100.0)
        self.context: Any = SimpleNamespace(plan=plan)
        self.running: Any = SimpleNamespace(
            id="baseline", target=1, form=plan.forms["baseline"], services=[], agents=[], ended=lambda _: "",
            broken=str, sink=SimpleNamespace(count=lambda: self.spans, child=SimpleNamespace(pid=-1)), stopped_s=None,
        )  # fmt: skip
        read, self.pipe = os.pipe()
        self.lines = LineStream(read)
        self.orders: Any = SimpleNamespace(tell=self.told.append, check=self._check, woken=0)
        time: Any = SimpleNamespace(monotonic=lambda: self.now, time_ns=lambda: 0, sleep=self._pass)
        for module in (live_load, stragglers, waiting):
            monkeypatch.setattr(module, "time", time)
        select: Any = SimpleNamespace(select=lambda *given: self._pass(given[3]))
        for module in (live_load, stragglers):
            monkeypatch.setattr(module, "select", select)
        monkeypatch.setattr(live_load, "generator", self._generator)
        monkeypatch.setattr(live_load, "sessions", dict)
        monkeypatch.setattr(LiveLoad, "_machine", lambda *_: None)

    def at(self, seconds: float, act: Any) -> None:
        self.script.append((100.0 + seconds, act))

    def prints(self, doc: dict[str, Any]) -> Any:
        return lambda: os.write(self.pipe, (json.dumps(doc) + "\n").encode())

    def sends(self, spans: int) -> Any:
        return lambda: setattr(self, "spans", self.spans + spans)

    def run(self) -> LiveLoad:
        load = LiveLoad(self.context, self.orders, ORDER)
        load.run([self.running])
        return load

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]

    @contextlib.contextmanager
    def _generator(self, *_: object) -> Iterator[tuple[Any, LineStream]]:
        self.began = self.now
        self.begins()
        yield SimpleNamespace(stop=lambda _: 0, kill=lambda: setattr(self, "killed", True), said=str), self.lines

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        due = [one for one in self.script if one[0] <= self.now]
        self.script = [one for one in self.script if one[0] > self.now]
        for _, act in due:
            act()

    def _check(self) -> None:
        if self.stopped:
            self.stopped = False
            raise OrderStopped


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def window(number: int) -> dict[str, Any]:
    return {"window": number, "seconds": 0.5, "cpu_s": 0.1, "forms": OURS if number == 0 else {}}


def test_a_stop_in_the_drain_keeps_the_total_of_the_load(machine: Machine) -> None:
    machine.at(0.5, machine.prints(window(0)))
    machine.at(1.0, machine.prints(TOTAL))
    machine.at(1.3, lambda: setattr(machine, "stopped", True))
    with pytest.raises(OrderStopped):
        machine.run()
    (end,) = machine.of(LoadEnded)
    assert (end.seconds, end.done, end.p50_ns) == (20.0, 120, 5_000_000)
    assert (end.ok, end.reason) == (False, "stopped by request")


def test_spans_of_a_stopped_load_are_none_of_the_next(machine: Machine) -> None:
    """Its last batch came after the next load had begun: 570 spans of 480."""
    machine.at(0.2, machine.sends(400))
    machine.at(0.5, lambda: setattr(machine, "stopped", True))
    with pytest.raises(OrderStopped):
        machine.run()
    stopped_s = machine.now
    machine.told.clear()
    machine.at(1.5, machine.sends(90))

    def answer() -> None:
        machine.at(machine.now - 100.0 + 0.5, machine.sends(120 * PER_REQUEST))
        machine.at(machine.now - 100.0 + 0.5, machine.prints(window(0)))
        machine.at(machine.now - 100.0 + 1.0, machine.prints(TOTAL))

    machine.begins = answer
    machine.run()
    assert 1.0 < machine.began - stopped_s < 2 * machine.context.plan.timeouts.quiet_s
    assert machine.of(FormWindow)[-1].spans_seen == 120 * PER_REQUEST


def test_a_load_whose_spans_all_came_holds_up_no_other(machine: Machine) -> None:
    machine.at(0.5, machine.prints(window(0)))
    machine.at(1.0, machine.prints(TOTAL))
    machine.run()
    began = machine.now
    machine.at(machine.now - 100.0 + 0.2, machine.prints(TOTAL))
    machine.run()
    assert machine.began == began


def test_a_stop_ends_the_wait_for_spans_of_the_load_before(machine: Machine) -> None:
    machine.running.stopped_s = machine.now
    machine.at(0.5, lambda: setattr(machine, "stopped", True))
    with pytest.raises(OrderStopped):
        machine.run()
    assert not hasattr(machine, "began")


@pytest.mark.parametrize("still_s", [60.0, 3600.0])
def test_a_machine_that_stood_still_has_no_hung_generator(monkeypatch: pytest.MonkeyPatch, still_s: float) -> None:
    """While a counted machine idles, its clock follows the host's, which slept."""
    machine = Machine(monkeypatch, clock="counted")
    machine.at(0.5, machine.prints(window(0)))
    machine.at(1.0, lambda: setattr(machine, "now", machine.now + still_s))
    machine.at(1.2 + still_s, machine.prints(window(1)))
    machine.at(1.7 + still_s, machine.prints(TOTAL))
    assert machine.run().ok
    assert not machine.killed


def test_a_generator_that_prints_nothing_is_hung(machine: Machine) -> None:
    machine.at(0.5, machine.prints(window(0)))
    assert not machine.run().ok
    assert machine.killed
    (end,) = machine.of(PartEnded)
    assert end.how == "it printed no window for 10 s"


def test_a_drain_goes_on_after_the_machine_stood_still(machine: Machine) -> None:
    form = machine.running.form
    machine.running.form = SimpleNamespace(name=form.name, proof="some", expected=form.expected)
    machine.at(0.5, machine.prints(window(0)))
    machine.at(1.0, machine.prints(TOTAL))
    machine.at(1.5, lambda: setattr(machine, "now", machine.now + 3600.0))
    machine.at(3601.7, machine.sends(120 * PER_REQUEST))
    machine.run()
    assert machine.of(LoadEnded)[-1].spans_seen == 120 * PER_REQUEST
