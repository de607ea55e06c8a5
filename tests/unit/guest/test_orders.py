"""Orders of a standby process: one runs, another is refused meanwhile, a stop ends it and nothing that comes later."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.guest.linux.waiting import Cancel, Stopped, until
from lab.guest.live.orders import Orders, OrderStopped
from lab.guest.run.journal import Journal
from lab.guest.wire import GuestRecord, dump, load
from lab.guest.wire.live import Order


@pytest.fixture
def cancel() -> Cancel:
    return Cancel()


@pytest.fixture
def orders(tmp_path: Path, cancel: Cancel) -> Iterator[Orders]:
    before = signal.getsignal(signal.SIGUSR1)
    journal = Journal(tmp_path)
    yield Orders(tmp_path, journal, cancel)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGUSR1, before)
    journal.close()


def give(orders: Orders, name: str, kind: Any = "load", text: str = "") -> None:
    (orders.folder / f"{name}.json").write_text(text or dump(Order(id=name, kind=kind)))
    os.kill(os.getpid(), signal.SIGUSR1)


def stop(orders: Orders, name: str = "stop") -> None:
    (orders.folder / name).touch()
    os.kill(os.getpid(), signal.SIGUSR1)


def refused(tmp_path: Path) -> list[tuple[str, str, str]]:
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    data = [load(GuestRecord, line).data for line in lines]
    return [(one["order"], one["reason"], one["running"]) for one in data]


def test_another_order_is_refused_in_the_middle_of_a_wait(orders: Orders, tmp_path: Path) -> None:
    give(orders, "a")
    assert orders.next().id == "a"
    assert (orders.folder / "a.taken").exists()
    give(orders, "b")
    assert until(orders, lambda: refused(tmp_path), 2.0) == [("b", "the order a (load) still runs", "a")]
    orders.done()
    give(orders, "c", "request")
    assert orders.next().id == "c"


def test_two_at_once_are_one_and_a_refusal(orders: Orders, tmp_path: Path) -> None:
    give(orders, "a")
    give(orders, "b")
    assert orders.next().id == "a"
    assert [(name, running) for name, _, running in refused(tmp_path)] == [("b", "a")]


def test_a_stop_ends_what_runs_also_when_it_came_with_the_order(orders: Orders, cancel: Cancel) -> None:
    for together in (False, True):
        give(orders, f"a{together}")
        if together:
            stop(orders)
        orders.next()
        if not together:
            stop(orders)
        with pytest.raises(OrderStopped):
            until(orders, lambda: None, 2.0)
        orders.check()
        orders.done()
    stop(orders)  # nothing runs: it is forgotten
    cancel.ask()
    with pytest.raises(Stopped):
        orders.next()
    assert not (orders.folder / "stop").exists()


def test_a_stop_that_comes_before_its_order_ends_that_order_alone(orders: Orders) -> None:
    stop(orders, "b.stop")
    give(orders, "a")
    orders.next()
    orders.check()
    orders.done()
    give(orders, "b")
    orders.next()
    with pytest.raises(OrderStopped):
        orders.check()
    orders.check()


def test_a_proof_is_not_cut_short(orders: Orders) -> None:
    give(orders, "a", "reprove")
    orders.next()
    stop(orders)
    orders.check()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"id": "a", "kind"', "it cannot be read: line 1, column 19: not JSON"),
        ('{"id": "a", "kind": "dance"}', "it cannot be read: kind: one of request, load"),
        ('{"id": "z", "kind": "load"}', "its id is z"),
    ],
)
def test_what_is_no_order_is_refused_and_the_next_runs(orders: Orders, tmp_path: Path, text: str, why: str) -> None:
    give(orders, "a", text=text)
    give(orders, "b")
    assert orders.next().id == "b"
    ((name, reason, running),) = refused(tmp_path)
    assert (name, running) == ("a", "")
    assert reason.startswith(why)
