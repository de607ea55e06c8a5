"""A standby process with the real parts, given orders as the host gives them."""

from __future__ import annotations

import itertools
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.guest.wire import Plan, dump
from lab.guest.wire.live import LIVE_KINDS, LiveEvent, Order, OrderEnded, Refused, live_from_json
from tests.contract.guest.conftest import ROOT, events, guest_argv, write_plan

NUMBERS = itertools.count(1)


@contextmanager
def on_standby(value: Plan, out: Path, artifacts: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = guest_argv(write_plan(out.parent, value), out, artifacts, verb="standby")
    with subprocess.Popen(argv, cwd=ROOT) as process:
        try:
            wait_for(out, lambda told: told["kind"] == "state" and told["data"].get("round") == 1)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def wait_for(out: Path, wanted: Callable[[dict[str, Any]], bool], limit_s: float = 60.0) -> dict[str, Any]:
    ends = time.monotonic() + limit_s
    while time.monotonic() < ends:
        found = [told for told in events(out) if wanted(told)] if (out / "events.jsonl").exists() else []
        if found:
            return found[-1]
        time.sleep(0.05)
    raise AssertionError([told["data"] for told in events(out)])


def give(out: Path, process: subprocess.Popen[bytes], order: Order) -> str:
    """Put the order there and wake the process; the order's id."""
    (out / "orders" / f".{order.id}").write_text(dump(order))
    (out / "orders" / f".{order.id}").rename(out / "orders" / f"{order.id}.json")
    process.send_signal(signal.SIGUSR1)
    return order.id


def told(out: Path, order: str) -> list[LiveEvent]:
    """What was told of this order so far."""
    lines = [line for line in events(out) if line["kind"] in LIVE_KINDS and line["data"].get("order") == order]
    return [live_from_json(line["kind"], line["data"]) for line in lines]


def until_told(out: Path, order: str, kinds: type | tuple[type, ...], limit_s: float = 60.0) -> list[LiveEvent]:
    """All of it, once one of this kind is among it."""
    ends = time.monotonic() + limit_s
    while time.monotonic() < ends:
        found = told(out, order)
        if any(isinstance(event, kinds) for event in found):
            return found
        time.sleep(0.05)
    raise AssertionError(told(out, order))


def carried_out(out: Path, process: subprocess.Popen[bytes], limit_s: float = 60.0, **fields: Any) -> list[LiveEvent]:
    """Give an order and wait for its end."""
    order = give(out, process, Order(id=f"o{next(NUMBERS)}", **fields))
    return until_told(out, order, (OrderEnded, Refused), limit_s)
