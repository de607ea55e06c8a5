"""One pass over a run: each cell's figures, counts and span tally, gathered per form. The rest is arithmetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lab.guest.tally import Row, Tally, tally
from lab.guest.wire import Cell, Plan
from lab.model.errors import Unreadable
from lab.model.run import Request, Run, RunCell
from lab.verdict.completeness import NodeScore, score
from lab.verdict.metrics import CellFigures, figures
from lab.verdict.recheck import count, disagreements
from lab.verdict.saturation import Queue, queue

Role = Literal["baseline", "twin", "control", "instrumented"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """One attempt with what was derived from its raw files."""

    source: RunCell
    figures: CellFigures
    tally: Tally | None  # None: the raw files cannot be read
    disagreements: tuple[str, ...]
    valid: bool
    queue: Queue | None = None  # None: too few requests

    @property
    def cell(self) -> Cell:
        return self.source.cell


@dataclass(frozen=True, slots=True, kw_only=True)
class FormView:
    """One form. cells: the valid ones, at most one per planned cell; attempts: all, reruns too."""

    name: str
    role: Role
    mechanism: str
    cells: tuple[CellView, ...]
    attempts: tuple[CellView, ...]
    planned: int
    scores: tuple[NodeScore, ...]

    @property
    def tallies(self) -> list[Tally]:
        return [view.tally for view in self.cells if view.tally is not None]

    @property
    def requests(self) -> Counter[str]:
        """Measured requests per type."""
        total: Counter[str] = Counter()
        for tally_ in self.tallies:
            total.update(tally_.requests)
        return total

    @property
    def invalid(self) -> int:
        return sum(not view.valid for view in self.attempts)

    @property
    def invalid_share(self) -> float:
        return self.invalid / len(self.attempts) if self.attempts else 0.0

    def level(self, level: str) -> dict[int, CellView]:
        """Block -> the valid cell at this level."""
        return {view.cell.block: view for view in self.cells if view.cell.level == level}

    def why_none(self, level: str) -> str:
        """Why there is no valid cell at this level: what its last attempt missed first. "" when there is one."""
        if self.level(level):
            return ""
        tried = [view for view in self.attempts if view.cell.level == level]
        said = [reason for view in reversed(tried) for reason in (*view.cell.reasons, *view.disagreements)]
        return f"no valid cell of {self.name} ({said[0] if said else 'none ran to its end'})"


def observe(run: Run) -> dict[str, FormView]:
    """All forms of the plan, in the order: baseline, twin, controls, compile time, run time."""
    views: dict[str, list[CellView]] = {name: [] for name in run.plan.forms}
    for run_cell in run.cells:
        if run_cell.cell.form in views:
            views[run_cell.cell.form].append(_view(run_cell, run))
    return {name: _form(name, views[name], run.plan) for name in ordered(run.plan)}


def ordered(plan: Plan) -> list[str]:
    rank = {"baseline": 0, "twin": 1, "control": 4}
    mechanism = {"compile-time": 2, "run-time": 3}
    names = list(plan.forms)
    return sorted(names, key=lambda name: rank.get(role(plan, name), mechanism.get(plan.forms[name].mechanism, 5)))


def role(plan: Plan, name: str) -> Role:
    """baseline: the first uninstrumented form (or the one of that name); twin: any further one without a delay."""
    form = plan.forms[name]
    if form.delay_kind:
        return "control"
    if form.mechanism != "none":
        return "instrumented"
    plain = [other for other, spec in plan.forms.items() if spec.mechanism == "none" and not spec.delay_kind]
    base = "baseline" if "baseline" in plain else plain[0]
    return "baseline" if name == base else "twin"


def _view(run_cell: RunCell, run: Run) -> CellView:
    cell, plan = run_cell.cell, run.plan
    try:
        rows = list(run_cell.requests())
        counted = _tally(run_cell, rows, run)
        broken: tuple[str, ...] = ()
    except Unreadable as error:
        rows, counted, broken = [], None, (f"raw data cannot be read: {error.where}: {error.why}",)
    worth = figures(cell, rows, plan.requests)
    counts = count(rows, plan.requests)
    said = broken or tuple(disagreements(cell, counts, worth.percentiles("p50"), plan.gates))
    # a cell whose raw data is gone is no evidence, whatever its summary says
    return CellView(
        source=run_cell,
        figures=worth,
        tally=counted,
        disagreements=said,
        valid=cell.valid and not broken and bool(rows),
        queue=queue(rows),
    )


def _tally(run_cell: RunCell, rows: Sequence[Request], run: Run) -> Tally:
    cell = run_cell.cell
    prior: Counter[str] = Counter()
    for proof in run.canaries:
        same_life = proof.block in {cell.block, None} and proof.attempt in {cell.attempt, None}
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
        run_cell.spans(),
        measured,
        run.plan.reference,
        run.plan.forms[cell.form].expected,
        window_start_ns=cell.window_start_ns,
        prior=dict(prior),
    )


def _form(name: str, attempts: Sequence[CellView], plan: Plan) -> FormView:
    best: dict[tuple[int, str], CellView] = {}
    for view in attempts:
        if view.valid:
            best[(view.cell.block, view.cell.level)] = view
    cells = tuple(best.values())
    return FormView(
        name=name,
        role=role(plan, name),
        mechanism=plan.forms[name].mechanism,
        cells=cells,
        attempts=tuple(attempts),
        planned=sum(len(life.cells) for life in plan.lives if life.form == name),
        scores=score(view.tally for view in cells if view.tally is not None),
    )
