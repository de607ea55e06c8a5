"""One pass over a run: its cells, collected per form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lab.guest.scoring.saturation import judged
from lab.guest.scoring.tally import Tally
from lab.guest.wire import Plan
from lab.model.metrics import ALL_LEVELS
from lab.model.run import Run
from lab.model.summary_form import Node, Role
from lab.verdict.cells.cell_view import CellView, ForEach, cell_views, in_turn
from lab.verdict.cells.completeness import score
from lab.verdict.cells.evened import ROLES, UNMOVED, Evened, even
from lab.verdict.cells.proofs import failed_proofs


@dataclass(frozen=True, slots=True, kw_only=True)
class FormView:
    """One form with every attempt, including reruns. failed: why its proof failed; None: it did not."""

    name: str
    role: Role
    mechanism: str
    attempts: tuple[CellView, ...]
    planned: Mapping[str, int]  # level -> cells, also of a level without any attempt
    scores: tuple[Node, ...]
    failed: str | None = None
    late_shift_max: float | None = None  # None: late sends are shown, not judged
    evened: Evened = UNMOVED  # its collections of garbage, on a counted clock

    def cells(self, *families: str) -> tuple[CellView, ...]:
        """For each planned cell the first attempt whose figures of these families are valid.

        A rerun is of another process, and of another time: it is for what the first attempt does not tell.
        """
        return _first(view for view in self._in_turn() if view.validity.holds(*families))

    def _in_turn(self) -> list[CellView]:
        return sorted(self.attempts, key=lambda view: view.cell.attempt)

    @property
    def levels(self) -> tuple[str, ...]:
        """The planned ones, also without a cell."""
        return tuple(sorted(self.planned))

    def planned_at(self, level: str = ALL_LEVELS) -> int:
        """Number of planned cells at this level, or at all."""
        return self.planned.get(level, 0) if level != ALL_LEVELS else sum(self.planned.values())

    def tried(self, level: str = ALL_LEVELS) -> list[CellView]:
        """Every attempt at this level, or at all."""
        return [view for view in self.attempts if level in {ALL_LEVELS, view.cell.level}]

    @property
    def whole(self) -> int:
        """Number of planned cells with an attempt that is valid in all families."""
        return len({(view.cell.block, view.cell.level) for view in self.attempts if view.validity.whole})

    def tallies(self, level: str = ALL_LEVELS) -> list[Tally]:
        """Of the cells at this level, or of all, whose spans are valid."""
        cells = (view for view in self.cells("spans") if level in {ALL_LEVELS, view.cell.level})
        return [view.tally for view in cells if view.tally is not None]

    def requests(self, level: str = ALL_LEVELS) -> Counter[str]:
        """Requests per type whose spans were counted."""
        total: Counter[str] = Counter()
        for tally_ in self.tallies(level):
            total.update(tally_.requests)
        return total

    def invalid(self, *families: str, level: str) -> int:
        """Number of attempts at this level in which one of these families is void, other than by too much load."""
        return sum(not view.validity.holds(*families) and not view.saturated for view in self.tried(level))

    def never_ran(self, level: str) -> int:
        """Number of planned cells at this level without any attempt."""
        return self.planned_at(level) - len({(view.cell.block, view.cell.level) for view in self.tried(level)})

    def level(self, level: str, *families: str) -> dict[int, CellView]:
        """Block -> the cell at this level that is valid for these families."""
        return {view.cell.block: view for view in self.cells(*families) if view.cell.level == level}

    def loaded(self, level: str) -> tuple[CellView, ...]:
        """For each planned cell at this level the soundest attempt that tells whether the load was too much."""

        def fits(view: CellView) -> bool:
            return level in {ALL_LEVELS, view.cell.level} and view.queue is not None and judged(view.cell)

        soundest = sorted(self._in_turn(), key=lambda view: len(view.validity.void))
        return _first(view for view in soundest if fits(view))

    def why_none(self, *families: str, level: str = ALL_LEVELS) -> str:
        """Why there is no valid cell for these families, at this level or at any; "" when there is one."""
        if any(level in {ALL_LEVELS, view.cell.level} for view in self.cells(*families)):
            return ""
        void = [
            why for view in reversed(self.tried(level)) for one in families for why in view.validity.void.get(one, ())
        ]
        if void:
            return f"no valid cell of {self.name} ({void[0]})"
        if self.failed is not None:
            return f"{self.name} was not measured: its proof failed ({self.failed})"
        return f"no cell of {self.name} finished"


def _first(views: Iterable[CellView]) -> tuple[CellView, ...]:
    """Of each planned cell the first one of these, by block and level."""
    found: dict[tuple[int, str], CellView] = {}
    for view in views:
        found.setdefault((view.cell.block, view.cell.level), view)
    return tuple(found[key] for key in sorted(found))


def observe(run: Run, for_each: ForEach = in_turn) -> dict[str, FormView]:
    """All forms of the plan, in the order: baseline, twin, controls, compile time, run time."""
    views: dict[str, list[CellView]] = {name: [] for name in run.plan.forms}
    for view in cell_views(run, for_each):
        views[view.cell.form].append(view)
    failed = failed_proofs(run)
    found = {name: _form(name, views[name], run.plan, failed.get(name)) for name in ordered(run.plan)}
    per_ns = run.machine.instruction_ns
    if per_ns is None:
        return found
    cells = {name: [v.cell for v in form.attempts if v.validity.holds("cpu")] for name, form in found.items()}
    alone = [even(of) for of in cells.values()]
    dearest = {role: max((one.each.get(role, 0.0) for one in alone), default=0.0) for role in ROLES}
    return {name: _evened(form, per_ns, even(cells[name], dearest)) for name, form in found.items()}


def _evened(form: FormView, instruction_ns: float, found: Evened) -> FormView:
    """With the instructions of collections spread over the cells of each life."""
    moved = {key: seconds * 1e9 / instruction_ns for key, seconds in found.of.items()}
    attempts = [view.given(moved.get(view.key, 0.0)) for view in form.attempts]
    off = [found.off.get(view.key, 0.0) * 1e9 / instruction_ns for view in attempts]
    known = [replace(view, figures=replace(view.figures, off=one)) for view, one in zip(attempts, off, strict=True)]
    return replace(form, attempts=tuple(known), evened=found)


def unproven(run: Run, forms: Mapping[str, FormView]) -> list[str]:
    """A sentence for each form that was measured although the run has no result of its proof."""
    known = {proof.canary.form for proof in run.canaries}
    return [
        f"this run has no proof of {form.name}"
        for form in forms.values()
        if form.attempts and form.failed is None and form.name not in known
    ]


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


def _form(name: str, attempts: Sequence[CellView], plan: Plan, failed: str | None) -> FormView:
    form = FormView(
        name=name,
        role=role(plan, name),
        mechanism=plan.forms[name].mechanism,
        attempts=tuple(attempts),
        planned=Counter(cell.level for life in plan.lives if life.form == name for cell in life.cells),
        scores=(),
        failed=failed,
        late_shift_max=plan.gates.late_shift_max if plan.gates.late_hard else None,
    )
    return replace(form, scores=score(form.tallies()))
