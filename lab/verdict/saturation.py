"""Whether a cell was saturated: more requests than its form could sustain. Pure, from the rows of one level.

An open loop sends at fixed times, so unanswered requests queue up. Below saturation the queue is as long at the end as
at the beginning (Little's law: rate x latency); above, it grows as long as the load lasts. Both a growing queue and
unanswered requests are required, since a pause of the host or one slow answer at the end causes either alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from lab.model.run import Request

QUARTERS: Final = 4
ROWS_MIN: Final = 20  # fewer show no trend
ANSWERED_MAX: Final = 0.95  # of the requests, when the last is sent
GROWTH_MIN: Final = 4.0  # the last quarter's queue against the first one's
QUEUE_MIN: Final = 2.0  # requests: below, the last one or two were just in progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Requests in progress. answered: by the time the last was sent; mean: per quarter of the load."""

    sent: int
    answered: int
    mean: tuple[float, ...]

    @property
    def grew(self) -> bool:
        """Saturated: answers are slower than requests, and the queue grows from quarter to quarter."""
        rising = all(later >= earlier for earlier, later in pairwise(self.mean))
        steep = self.mean[-1] >= max(QUEUE_MIN, GROWTH_MIN * self.mean[0])
        return self.answered < ANSWERED_MAX * self.sent and rising and steep

    def said(self) -> str:
        queue = f"its queue grew from {self.mean[0]:.1f} to {self.mean[-1]:.1f}"
        return f"{self.answered} of {self.sent} requests were answered when the last was sent, {queue}"


def queue(rows: Sequence[Request]) -> Queue | None:
    """None when there are too few requests for a trend, or all were sent at once."""
    if len(rows) < ROWS_MIN:
        return None
    first, last = min(row.intended_ns for row in rows), max(row.intended_ns for row in rows)
    if first == last:
        return None
    edges = [first + (last - first) * i // QUARTERS for i in range(QUARTERS + 1)]
    return Queue(
        sent=len(rows),
        answered=sum(row.end_ns <= last for row in rows),
        mean=tuple(_mean(rows, low, high) for low, high in pairwise(edges)),
    )


def _mean(rows: Sequence[Request], low: int, high: int) -> float:
    """Mean number of requests in progress between two times, each from its intended start to its answer."""
    return sum(max(0, min(row.end_ns, high) - max(row.intended_ns, low)) for row in rows) / (high - low)
