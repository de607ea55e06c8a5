"""Recompute the guest's counts and gates from its raw rows. Every disagreement is reported."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lab.guest.scoring.gates import late_sends, late_shift
from lab.guest.wire import Cell, Gates, RequestSpec
from lab.model.figures import plural
from lab.model.run import Request

P50_TOLERANCE: Final = 0.02
RECOUNTED: Final = ("completed", "errors", "late")
SLEW: Final = 0.0005  # share of a window by which NTP may slew the wall clock, which is no step
BY_ROWS: Final = frozenset({"latency", "spans"})  # the families of figures that follow from the rows' times


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The counts from the rows of one cell, and from the lines of its span file."""

    rows: int
    completed: int
    late: int
    late_shift: float
    unexpected: int
    spans: int = 0


def count(requests: Iterable[Request], specs: Sequence[RequestSpec], *, spans: int = 0) -> Counts:
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
        spans=spans,
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
    found += filter(None, [miscounted_spans(cell, counts)])
    for kind, stats in cell.by_type.items():
        mine = p50.get(kind)
        if mine is not None and not math.isclose(mine, stats.p50_ms, rel_tol=P50_TOLERANCE, abs_tol=0.05):
            found.append(f"median latency of {kind}: the guest reports {stats.p50_ms:.3f}, its rows have {mine:.3f} ms")
    found += below_zero(cell)
    missed = recounted(cell, counts, gates)
    found += [
        f"gate {gate.name}: the guest reports {'ok' if gate.ok else 'missed'}, its rows disagree"
        for gate in cell.gates
        if (gate.ok and gate.name in missed) or (gate.name in RECOUNTED and not gate.ok and gate.name not in missed)
    ]
    if cell.valid and any(gate.hard and not gate.ok for gate in cell.gates):
        found.append("marked valid although a hard gate was missed")
    return found


def miscounted(cell: Cell, counts: Counts) -> str:
    """Why no figure that is divided by the guest's count is worth anything; "" when it is, or without rows."""
    if not counts.rows or cell.completed == counts.completed:
        return ""
    return f"the guest reports {cell.completed} answered requests, its rows have {counts.completed}"


def miscounted_spans(cell: Cell, counts: Counts) -> str:
    """Why neither the guest's count of spans nor its file is worth anything; "" when they agree, or without rows."""
    if not counts.rows or cell.spans_total == counts.spans:
        return ""
    return f"the guest reports {plural(cell.spans_total, 'span')}, its file has {counts.spans:,}"


def below_zero(cell: Cell) -> list[str]:
    """CPU times below zero: one hides in a sum that is above it."""
    return [
        f"the {name} time of {row.role} reads {seconds:g} s"
        for row in cell.usage
        for name, seconds in (("user", row.user_s), ("system", row.system_s))
        if seconds < 0
    ]


def recounted(cell: Cell, counts: Counts, gates: Gates) -> dict[str, str]:
    """The gates that are missed according to the rows and the window alone -> why."""
    found = {}
    if counts.completed < gates.completed_min * cell.scheduled:
        found["completed"] = f"{counts.completed} of {cell.scheduled} requests were answered, by the rows"
    if counts.unexpected:
        found["errors"] = f"{counts.unexpected} answers with an unexpected status, by the rows"
    if counts.late_shift > gates.late_shift_max:
        found["late"] = f"late sends raised the median latency by {counts.late_shift:.1%}, by the rows"
    wall_s = (cell.window_end_ns - cell.window_start_ns) / 1e9
    if cell.window_s > 0 and abs(wall_s - cell.window_s) > _step_s(cell, gates):
        clocks = f"{wall_s:.6g} s by the wall clock and {cell.window_s:.6g} s by the monotonic clock"
        found["clock_step"] = f"the window is {clocks}, limit {gates.clock_step_max_s:g} s apart"
    return found


def _step_s(cell: Cell, gates: Gates) -> float:
    """How far the two clocks may be apart. A window shows the sum of all steps, not their order."""
    return gates.clock_step_max_s + SLEW * max(0.0, cell.window_s)


def impossible(cell: Cell, requests: Iterable[Request], gates: Gates) -> list[str]:
    """Why no figure can follow from the times of the rows; empty when it can."""
    off_ns = int(_step_s(cell, gates) * 1e9)
    first, last = cell.window_start_ns - off_ns, cell.window_end_ns + off_ns
    early = outside = 0
    for row in requests:
        early += row.end_ns < row.intended_ns
        outside += row.intended_ns < first or row.end_ns > last
    found = [(early, "ended before it was due"), (outside, "outside the window")]
    return [f"{plural(number, 'request')} {what}, by the rows" for number, what in found if number]
