"""Recompute the guest's counts and gates from its raw rows. Every disagreement is reported."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lab.guest.scoring.gates import late_sends, late_shift
from lab.guest.wire import Cell, Gates, RequestSpec
from lab.model.run import Request

P50_TOLERANCE: Final = 0.02
RECOUNTED: Final = ("completed", "errors", "late")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The counts from the rows of one cell."""

    rows: int
    completed: int
    late: int
    late_shift: float
    unexpected: int


def count(requests: Iterable[Request], specs: Sequence[RequestSpec]) -> Counts:
    """Recount one cell."""
    rows = list(requests)
    wanted = {spec.type: (frozenset(spec.status), spec.expect_timeout) for spec in specs}
    completed = unexpected = 0
    for row in rows:
        status, may_time_out = wanted.get(row.type, (frozenset(), False))
        foreseen = row.status in status or (row.status == -1 and may_time_out)
        completed += row.status > 0 or (row.status == -1 and may_time_out)
        unexpected += not foreseen
    return Counts(
        rows=len(rows),
        completed=completed,
        late=late_sends(rows)[0],
        late_shift=late_shift(rows, specs),
        unexpected=unexpected,
    )


def disagreements(cell: Cell, counts: Counts, p50: dict[str, float], gates: Gates) -> list[str]:
    """One sentence per figure of the guest that differs from its own rows."""
    found = [
        f"{name}: the guest reports {reported}, its rows have {counted}"
        for name, reported, counted in (
            ("completed requests", cell.completed, counts.completed),
            ("late sends", cell.late, counts.late),
            ("unexpected answers", cell.unexpected, counts.unexpected),
        )
        if reported != counted
    ]
    for kind, stats in cell.by_type.items():
        mine = p50.get(kind)
        if mine is not None and not math.isclose(mine, stats.p50_ms, rel_tol=P50_TOLERANCE, abs_tol=0.05):
            found.append(f"median latency of {kind}: the guest reports {stats.p50_ms:.3f}, its rows have {mine:.3f} ms")
    missed = recounted(cell, counts, gates)
    found += [
        f"gate {gate.name}: the guest reports {'ok' if gate.ok else 'missed'}, its rows disagree"
        for gate in cell.gates
        if gate.name in RECOUNTED and gate.ok == (gate.name in missed)
    ]
    if cell.valid and any(gate.hard and not gate.ok for gate in cell.gates):
        found.append("marked valid although a hard gate was missed")
    return found


def recounted(cell: Cell, counts: Counts, gates: Gates) -> dict[str, str]:
    """The gates that are missed according to the rows alone -> why."""
    found = {}
    if counts.completed < gates.completed_min * cell.scheduled:
        found["completed"] = f"{counts.completed} of {cell.scheduled} requests were answered, by the rows"
    if counts.unexpected:
        found["errors"] = f"{counts.unexpected} answers with an unexpected status, by the rows"
    if counts.late_shift > gates.late_shift_max:
        found["late"] = f"late sends raised the median latency by {counts.late_shift:.1%}, by the rows"
    return found
