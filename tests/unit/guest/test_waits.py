"""A type's own timeout reaches every limit of the guest half."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from lab.guest.live import load as live_load
from lab.guest.live import request as live_request
from lab.guest.run import load
from lab.guest.wire import COUNTED, Plan
from lab.guest.wire.live import Order
from lab.guest.wire.plan import SEQUENTIAL
from tests.unit.report import synthetic


def with_timeout(timeout_s: float, weight: float = 1.0) -> Plan:
    """The first type waits so long for a timeout that is expected."""
    plan = synthetic.plan()
    slow = replace(plan.requests[0], timeout_s=timeout_s, weight=weight, expect_timeout=True)
    return replace(plan, requests=(slow, *plan.requests[1:]))


def of(plan: Plan) -> Any:
    return SimpleNamespace(plan=plan)


@pytest.mark.parametrize("timeout_s", [120.0, 3600.0])
def test_a_slow_request_is_waited_for(timeout_s: float) -> None:
    context = of(with_timeout(timeout_s))
    cell = context.plan.lives[0].cells[0]
    sent_s = (cell.warmup_requests + cell.requests) / cell.rate_rps
    assert load.longest_s(context, cell) > sent_s + timeout_s
    order = Order(id="a", kind="load", requests=10, rate_rps=10.0)
    assert live_request.limit_s(context, order) > timeout_s
    assert live_load.planned_s(context, order, 2) > 1.0 + timeout_s
    assert live_load.limit_s(context, order, 2) > 1.0 + timeout_s


def test_a_canary_is_waited_for(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(load, "until", lambda _cancel, _ask, limit_s, _step: waited.append(limit_s))
    said = '{"request_id": "r", "status": -1, "start_ns": 0, "end_ns": 1}'
    child = SimpleNamespace(ended=lambda: "", stop=lambda _: None, lines=lambda: [said])
    children = SimpleNamespace(processes=[child], spawn=lambda *_, **__: child)
    context = SimpleNamespace(plan=with_timeout(120.0), children=children, cancel=None, artifact=str, env=lambda *_: {})
    kind = context.plan.canary[0]
    load.send_once(context, tmp_path, 1, kind, 0, 1)  # type: ignore[arg-type]  # what it uses of a context
    assert waited[0] > 120.0


def test_in_turn_each_slow_request_holds_up_the_rest() -> None:
    plan = replace(with_timeout(30.0, weight=41.0), clock=COUNTED, arrivals=SEQUENTIAL)  # 41 of 82: every other one
    context, order = of(plan), Order(id="a", kind="load", requests=100, rate_rps=10.0)
    assert load.longest_s(context, replace(plan.lives[0].cells[0], requests=100)) > 50 * 30
    assert live_load.planned_s(context, order, 3) > 3 * 50 * 30


def test_as_many_may_be_out_as_wait() -> None:
    plan = with_timeout(30.0, weight=41.0)
    cell = replace(plan.lives[0].cells[0], rate_rps=100.0)
    assert load.load_plan(of(plan), 1, cell)["max_in_flight"] > 100 * 0.5 * 30
    usual = load.load_plan(of(synthetic.plan()), 1, cell)["max_in_flight"]
    assert usual == 1016
