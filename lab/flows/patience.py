"""How long a plan may take on this host: after that, the guest half hangs."""

from __future__ import annotations

from typing import Final

from lab.guest.wire import COUNTED, CellPlan, Life, Plan
from lab.guest.wire.waits import held_up_s, longest_request_s
from lab.model.machine import Clock

SETTLE_S: Final = 300.0  # whatever the plan
SLOWER: Final = 4  # than planned: cells that are run again, a busy host
COUNTED_SLOWER: Final = 30  # host seconds for a guest second with counted instructions, on a busy host


def slower(clock: Clock) -> float:
    """How long a guest second takes here, at most."""
    return float(COUNTED_SLOWER) if clock == COUNTED else 1.0


def limit_s(plan: Plan) -> float:
    """Host seconds for the whole plan, its proofs and warm-ups included."""
    guest_s = sum(_start_s(plan, life) + sum(_cell_s(plan, cell) for cell in life.cells) for life in plan.lives)
    return SETTLE_S + (COUNTED_SLOWER if plan.clock == COUNTED else SLOWER) * guest_s


def _start_s(plan: Plan, life: Life) -> float:
    """A life's start and its proof."""
    agent = plan.forms[life.form].agent if life.form in plan.forms else None
    attach_s = agent.ready_timeout_s if agent else 0.0
    return plan.timeouts.ready_s + attach_s + plan.timeouts.first_span_s + len(plan.canary) * longest_request_s(plan)


def _cell_s(plan: Plan, cell: CellPlan) -> float:
    """Its load and what is waited for after it."""
    requests = cell.warmup_requests + cell.requests
    load_s = requests / cell.rate_rps + held_up_s(plan, requests) + longest_request_s(plan)
    return load_s + plan.timeouts.ready_s + plan.timeouts.first_span_s + plan.timeouts.drain_s
