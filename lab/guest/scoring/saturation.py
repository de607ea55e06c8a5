"""Whether a cell was saturated: more requests than its form could sustain. Pure, so that the verdict can judge again.

An open loop sends at fixed times, so unanswered requests queue up. Below saturation the queue is as long at the end as
at the beginning (Little's law: rate x latency); above, it grows as long as the load lasts. Both a growing queue and
unanswered requests are required, since a pause of the host or one slow answer at the end causes either alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.guest.wire import Cell, Gates, RequestSpec
from lab.guest.wire.answer import NO_ANSWER, TIMEOUT

QUARTERS = 4
ROWS_MIN = 20  # fewer show no trend
ANSWERED_MAX = 0.95  # of the requests, when the last is sent
GROWTH_MIN = 4.0  # the last quarter's queue against the first one's
QUEUE_MIN = 2.0  # requests: below, the last one or two were just in progress
SLOW_MIN = 0.1  # of a timeout: how long the slowest answer takes at least where a queue caused it
# Gates that a saturated form misses because it is saturated. Any other one missed is a fault, and no sign of its load.
OVERLOAD = frozenset({"completed", "errors", "spans_still", "late"})
DEATHS_MIN = 2  # of a process at one rate, which is therefore tried again: one may be an accident


@dataclass(frozen=True)
class Queue:
    """Requests in progress. answered: by the time the last was sent; mean: per quarter of the load."""

    sent: int
    answered: int
    timed_out: int
    mean: tuple[float, ...]

    @property
    def grew(self) -> bool:
        """Answers are slower than requests, and the queue grows from quarter to quarter."""
        rising = all(later >= earlier for earlier, later in zip(self.mean, self.mean[1:]))
        steep = self.mean[-1] >= max(QUEUE_MIN, GROWTH_MIN * self.mean[0])
        return self.answered < ANSWERED_MAX * self.sent and rising and steep

    def said(self) -> str:
        timed_out = ", %d timed out" % self.timed_out if self.timed_out else ""
        done = "%d of %d requests were answered when the last was sent%s" % (self.answered, self.sent, timed_out)
        return "%s, its queue grew from %.1f to %.1f" % (done, self.mean[0], self.mean[-1])


def judged(cell: Cell) -> bool:
    """Whether the cell has no fault by which its queue may have grown."""
    missed = [gate.name for gate in cell.gates if gate.hard and not gate.ok]
    return OVERLOAD.issuperset(missed) and (cell.valid or bool(missed))


def saturated(found: Queue | None, cell: Cell) -> bool:
    """Whether the load, and nothing else, was too much for the cell: a finding, neither INVALID nor rerun."""
    return found is not None and found.grew and judged(cell)


def death(cell: Cell) -> str:
    """How a process of the cell died; "" while all lived."""
    return next((gate.said for gate in cell.gates if gate.name.endswith("_alive") and not gate.ok), "")


def too_much(attempts: Sequence[tuple[Sequence[tuple[Any, ...]], Cell]], specs: Sequence[RequestSpec]) -> str:
    """Why a search for the saturation ends with this rate; "" where it does not. attempts: the rows of each, and it.

    The cell is saturated, or requests fail, which at a lower rate none did: far beyond its limit a service refuses
    connections at once, and no queue grows. A stray wrong answer is no limit, nor is a process that dies once.
    """
    deaths = [how for _, cell in attempts if (how := death(cell))]
    if len(deaths) >= DEATHS_MIN:
        return deaths[-1]
    return next((why for rows, cell in attempts if not death(cell) and (why := _overload(rows, specs, cell))), "")


def _overload(rows: Sequence[tuple[Any, ...]], specs: Sequence[RequestSpec], cell: Cell) -> str:
    gates = {gate.name: gate for gate in cell.gates if gate.hard and not gate.ok}
    if "completed" in gates:
        return "%.4g of its requests were answered" % gates["completed"].value
    least = next((gate.limit for gate in cell.gates if gate.name == "completed"), Gates.completed_min)
    if "errors" in gates and gates["errors"].value > (1 - least) * cell.scheduled:
        return "%d of %d %s" % (gates["errors"].value, cell.scheduled, gates["errors"].said)
    found = queue(rows, specs)
    return found.said() if found is not None and saturated(found, cell) else ""


def queue(rows: Sequence[tuple[Any, ...]], specs: Sequence[RequestSpec]) -> Queue | None:
    """None when there are too few requests for a trend, or all were sent at once.

    rows: intended_ns, start_ns, end_ns, status, type, and further columns. A request that timed out is never answered:
    it is in the queue to the end, or else the client's limit would hide that the queue grows.
    """
    if len(rows) < ROWS_MIN:
        return None
    first, last = min(row[0] for row in rows), max(row[0] for row in rows)
    if first == last:
        return None
    lost = _timed_out(rows, specs)
    spells = [(row[0], last if given_up else row[2]) for row, given_up in zip(rows, lost)]
    edges = [first + (last - first) * i // QUARTERS for i in range(QUARTERS + 1)]
    return Queue(
        sent=len(rows),
        answered=sum(row[2] <= last and not given_up for row, given_up in zip(rows, lost)),
        timed_out=sum(lost),
        mean=tuple(_mean(spells, low, high) for low, high in zip(edges, edges[1:])),
    )


def _timed_out(rows: Sequence[tuple[Any, ...]], specs: Sequence[RequestSpec]) -> list[bool]:
    """Per row. A queue that grows up to the client's limit slows all answers; where none is slow, a request hung.

    A broken connection counts if it took longer than any answer; sooner, it was refused or cut.
    """
    meant = {spec.type for spec in specs if spec.expect_timeout}
    slowest = max((row[2] - row[0] for row in rows if row[3] > NO_ANSWER), default=0)
    found = []
    for intended, _, end, status, kind in (row[:5] for row in rows):
        unmeant = (status == NO_ANSWER and end - intended >= slowest) or (status == TIMEOUT and kind not in meant)
        found.append(unmeant and slowest >= SLOW_MIN * (end - intended))
    return found


def _mean(spells: Sequence[tuple[int, int]], low: int, high: int) -> float:
    """Mean number of requests in progress between two times, each from its intended start to its answer."""
    return sum(max(0, min(end, high) - max(begin, low)) for begin, end in spells) / (high - low)
