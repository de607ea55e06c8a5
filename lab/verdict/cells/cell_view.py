"""What each attempt of a cell comes to: figures, counts and span tally, derived from its raw files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol, TypeVar

from lab.guest.scoring.gates import EVERYTHING, FAMILIES, TOUCHES, Validity, late_shift, validity
from lab.guest.scoring.saturation import Queue, queue, saturated
from lab.guest.scoring.tally import Row, Tally, tally
from lab.guest.wire import COUNTED, Cell, Plan, Span
from lab.model.errors import Unreadable
from lab.model.metrics import CellFigures
from lab.model.run import Request, Run, RunCell
from lab.verdict.cells.metrics import QUANTILES, figures, percentiles
from lab.verdict.cells.planned import key, planned
from lab.verdict.cells.recheck import (
    BY_ROWS,
    Counts,
    below_zero,
    count,
    disagreements,
    impossible,
    miscounted,
    miscounted_spans,
    recounted,
)
from lab.verdict.cells.warmth import trend

PER_REQUEST: Final = frozenset({"cpu"})  # divided by the answered requests; latency and spans are of the rows alone
BY_COUNTERS: Final = frozenset({"cpu", "memory"})
SPANS: Final = frozenset({"spans"})
Value = TypeVar("Value")
Result = TypeVar("Result")


class ForEach(Protocol):
    """Call a function for each value. The results are in the order of the values."""

    def __call__(self, function: Callable[[Value], Result], values: Sequence[Value], /) -> list[Result]: ...


def in_turn(function: Callable[[Value], Result], values: Sequence[Value], /) -> list[Result]:
    return [function(value) for value in values]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """One attempt with figures derived from its raw files. late_shift: percentile -> its change by late sends."""

    source: RunCell
    figures: CellFigures
    tally: Tally | None  # None: the raw files cannot be read
    disagreements: tuple[str, ...]
    validity: Validity
    late_shift: dict[str, float]
    queue: Queue | None = None  # None: too few requests
    trend: float | None = None  # of the latency within the cell; None: too few requests, or a counted clock

    @property
    def cell(self) -> Cell:
        return self.source.cell

    @property
    def key(self) -> tuple[str, int]:
        return self.cell.id, self.cell.attempt

    @property
    def saturated(self) -> bool:
        """Beyond what its form can sustain, which is a finding and no fault of the cell."""
        return saturated(self.queue, self.cell)

    @property
    def settled(self) -> bool:
        """Valid in all families, or saturated: there is no fault."""
        return self.validity.whole or self.saturated

    @property
    def as_counted(self) -> CellFigures:
        """The figures before collections of garbage were spread."""
        return self.given(-self.figures.moved).figures

    def given(self, instructions: float) -> CellView:
        """With instructions of the collections of other cells, or without some of its own."""
        known = self.figures
        total = None if known.instructions is None else known.instructions + instructions
        return replace(self, figures=replace(known, instructions=total, moved=known.moved + instructions))


def cell_views(run: Run, for_each: ForEach) -> list[CellView]:
    """Of each planned cell, in order of time. for_each: process lives do not depend on each other."""
    of_plan = planned(run.plan)
    lives: dict[str, list[RunCell]] = {}
    for found in sorted(run.cells, key=lambda found: found.cell.window_start_ns):
        if key(found.cell) in of_plan:
            lives.setdefault(found.cell.life or found.folder, []).append(found)
    known = replace(run, cells=(), records=(), host_events=(), files={})  # what the figures of a cell depend on
    views = [view for life in for_each(partial(_life, known), list(lives.values())) for view in life]
    return sorted(views, key=lambda view: view.cell.window_start_ns)


def _life(run: Run, cells: Sequence[RunCell]) -> list[CellView]:
    """One process life: what its earlier cells called is known to the later ones."""
    views: list[CellView] = []
    calls: dict[str, int] | None = None
    for run_cell in cells:
        view = _view(run_cell, run, calls)
        views.append(view)
        if run_cell.cell.life and view.tally is not None:
            calls = view.tally.calls
    return views


def _view(run_cell: RunCell, run: Run, calls: Mapping[str, int] | None) -> CellView:
    cell, plan = run_cell.cell, run.plan
    try:
        rows = list(run_cell.requests())
        spans = list(run_cell.spans())
        counted = _tally(run_cell, rows, spans, run, calls)
        broken: tuple[str, ...] = ()
    except Unreadable as error:
        rows, spans, counted, broken = [], [], None, (f"raw data cannot be read: {error.where}: {error.why}",)
    worth = figures(cell, rows, plan, instruction_ns=run.machine.instruction_ns)
    counts = count(rows, plan.requests, spans=len(spans))
    doubts = broken or tuple(disagreements(cell, counts, percentiles(worth, "p50"), plan.gates))
    found = _validity(cell, plan, counts, broken, rows)
    if worth.uncounted:
        found = found.but(BY_COUNTERS, f"no counters of its {' and '.join(worth.uncounted)}")
    return CellView(
        source=run_cell,
        figures=worth,
        tally=counted,
        disagreements=doubts,
        validity=found,
        late_shift={name: late_shift(rows, plan.requests, quantile, fewest) for name, quantile, fewest in QUANTILES},
        queue=queue(rows, plan.requests),
        trend=None if plan.clock == COUNTED else trend(rows, plan.requests),
    )


def _judged(missed: Mapping[str, str], plan: Plan) -> dict[str, str]:
    return {gate: reason for gate, reason in missed.items() if gate != "late" or plan.gates.late_hard}


def given(cell: Cell) -> tuple[str, ...]:
    """The non-empty reasons of a cell."""
    return tuple(reason for reason in cell.reasons if reason.strip())


def _validity(cell: Cell, plan: Plan, counts: Counts, broken: Sequence[str], rows: Sequence[Request]) -> Validity:
    """The validity by the guest's gates, by the gates recomputed from the rows, and by the existence of rows."""
    found = validity(cell.gates)
    missed = _judged(recounted(cell, counts, plan.gates), plan)
    for gate, reason in missed.items():
        if all(other.ok for other in cell.gates if other.name == gate):
            found = found.but(TOUCHES[gate], reason)
    if not cell.valid and found.whole:
        found = found.but(FAMILIES, *(given(cell) or ("the guest half marked it invalid without a missed gate",)))
    if times := impossible(cell, rows, plan.gates):
        found = found.but(BY_ROWS, *times)
    if why := miscounted(cell, counts):
        found = found.but(PER_REQUEST, why)
    if why := miscounted_spans(cell, counts):
        found = found.but(SPANS, why)
    if negative := below_zero(cell):
        found = found.but(PER_REQUEST, *negative)
    # a cell without raw data is void, whatever its summary says; without a length, nothing is per second of it
    gone = broken or (() if counts.rows else ("it has no request rows",))
    gone = (*gone, *(() if cell.window_s > 0 else ("its window has no length",)))
    return found.but(EVERYTHING, *gone) if gone else found


def _tally(
    run_cell: RunCell, rows: Sequence[Request], spans: Sequence[Span], run: Run, calls: Mapping[str, int] | None
) -> Tally:
    cell = run_cell.cell
    prior: Counter[str] = Counter(calls)
    for proof in run.canaries if calls is None else ():
        same_life = proof.block in {cell.block, None} and proof.attempt in {cell.attempt, None}
        if cell.life:
            same_life = f"/{cell.life}/" in proof.path
        if proof.canary.form == cell.form and same_life:
            for request in proof.canary.requests:
                prior.update(request.seen)
    measured = [
        Row(
            type=row.type,
            start_ns=row.start_ns,
            end_ns=row.end_ns,
            status=row.status,
            intended_ns=row.intended_ns,
            request_id=row.request_id,
        )
        for row in rows
    ]
    return tally(
        spans,
        measured,
        run.plan.reference,
        run.plan.forms[cell.form].expected,
        window_start_ns=cell.window_start_ns,
        prior=dict(prior),
    )
