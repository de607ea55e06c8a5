"""The guest's counts and gates, recomputed from the raw rows it sealed. Any disagreement is told."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lab.guest.wire import Cell, Gates, RequestSpec
from lab.model.run import Request
from lab.verdict.metrics import percentile

LATE_FLOOR_NS: Final = 1_000_000
P50_TOLERANCE: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the rows of one cell say."""

    rows: int
    completed: int
    late: int
    unexpected: int


def count(requests: Iterable[Request], specs: Sequence[RequestSpec]) -> Counts:
    """Recount one cell. A send is late beyond max(1 ms, 1 % of the cell's median latency)."""
    rows = list(requests)
    wanted = {spec.type: (frozenset(spec.status), spec.expect_timeout) for spec in specs}
    completed = unexpected = 0
    for row in rows:
        status, may_time_out = wanted.get(row.type, (frozenset(), False))
        foreseen = row.status in status or (row.status == -1 and may_time_out)
        completed += row.status > 0 or (row.status == -1 and may_time_out)
        unexpected += not foreseen
    taken = sorted(row.end_ns - row.intended_ns for row in rows)
    limit = max(LATE_FLOOR_NS, 0.01 * percentile(taken, 0.5)) if taken else LATE_FLOOR_NS
    late = sum(row.start_ns - row.intended_ns > limit for row in rows)
    return Counts(rows=len(rows), completed=completed, late=late, unexpected=unexpected)


def disagreements(cell: Cell, counts: Counts, p50: dict[str, float], gates: Gates) -> list[str]:
    """Sentences, one per figure that the guest wrote differently from what its own rows give."""
    found = [
        f"{name}: the guest says {said}, its rows say {seen}"
        for name, said, seen in (
            ("completed requests", cell.completed, counts.completed),
            ("late sends", cell.late, counts.late),
            ("unexpected answers", cell.unexpected, counts.unexpected),
        )
        if said != seen
    ]
    for kind, stats in cell.by_type.items():
        mine = p50.get(kind)
        if mine is not None and not math.isclose(mine, stats.p50_ms, rel_tol=P50_TOLERANCE, abs_tol=0.05):
            found.append(f"median latency of {kind}: the guest says {stats.p50_ms:.3f} ms, its rows say {mine:.3f} ms")
    recomputed = _gates(cell, counts, gates)
    for gate in cell.gates:
        ok = recomputed.get(gate.name)
        if ok is not None and ok != gate.ok:
            found.append(f"gate {gate.name}: the guest says {'ok' if gate.ok else 'missed'}, its rows say otherwise")
    if cell.valid and any(gate.hard and not gate.ok for gate in cell.gates):
        found.append("called valid although a hard gate was missed")
    return found


def _gates(cell: Cell, counts: Counts, gates: Gates) -> dict[str, bool]:
    """The gates that the rows alone can decide."""
    late_allowed = gates.late_max * cell.scheduled if cell.scheduled >= gates.late_min_requests else 0
    return {
        "completed": counts.completed >= gates.completed_min * cell.scheduled,
        "late": counts.late <= late_allowed,
        "errors": counts.unexpected == 0,
    }
