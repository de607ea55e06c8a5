"""How long the requests of a plan may take, and how many of them are out at once: every limit on a load follows."""

from __future__ import annotations

from collections.abc import Sequence

from lab.guest.wire.plan import SEQUENTIAL, Plan, RequestSpec

IN_FLIGHT_MAX = 4096  # each has a connection
IN_FLIGHT_MIN = 64
BURST = 16  # requests that come at once, beyond the mean


def longest_request_s(plan: Plan) -> float:
    """After so long, any request of the plan has been answered or given up."""
    return max([plan.timeouts.request_s, *(spec.timeout_s or 0.0 for spec in plan.requests)])


def in_flight(plan: Plan, rate_rps: float) -> int:
    """How many requests may be out at once: more are not sent. Where a service hangs, each is out for its timeout."""
    return min(IN_FLIGHT_MAX, max(IN_FLIGHT_MIN, int(rate_rps * longest_request_s(plan)) + BURST))


def meant_in_flight(requests: Sequence[RequestSpec], request_s: float, rate_rps: float) -> float:
    """The mean number of requests that are out because they are meant to time out."""
    return rate_rps * _meant_s(requests, request_s)


def held_up_s(plan: Plan, requests: int) -> float:
    """How long those of so many requests that are meant to time out hold up the next one; only in turn they do."""
    return requests * _meant_s(plan.requests, plan.timeouts.request_s) if plan.arrivals == SEQUENTIAL else 0.0


def _meant_s(requests: Sequence[RequestSpec], request_s: float) -> float:
    """Seconds of a mean request that end by a timeout which is expected."""
    weights = sum(spec.weight for spec in requests)
    meant = sum(spec.weight * (spec.timeout_s or request_s) for spec in requests if spec.expect_timeout)
    return meant / weights if weights > 0 else 0.0
