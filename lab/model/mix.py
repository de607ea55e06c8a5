"""How the requests of a cell are dealt among the types of a scenario's mix."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lab.guest.wire import Plan, RequestSpec


def dealt(mix: Sequence[RequestSpec], count: int) -> dict[str, int]:
    """How many requests of each type a cell has, as the load generator deals them: by weight, the largest remainders
    rounded up."""
    weights = {spec.type: max(0.0, spec.weight) for spec in mix}
    total = sum(weights.values()) or 1.0
    shares = {kind: weight / total * count for kind, weight in weights.items()}
    whole = {kind: math.floor(share) for kind, share in shares.items()}
    first = sorted(shares, key=lambda kind: whole[kind] - shares[kind])
    for kind in first[: count - sum(whole.values())]:
        whole[kind] += 1
    return whole


def never_sent(plan: Plan) -> tuple[str, ...]:
    """The request types that no cell of the plan has a request of: what it measures says nothing about them."""
    sizes = {cell.requests for life in plan.lives for cell in life.cells}
    most = dealt(plan.requests, max(sizes, default=0))
    rare = [kind for kind, count in most.items() if not count] if sizes else []
    return tuple(kind for kind in rare if not any(dealt(plan.requests, size)[kind] for size in sizes))
