"""Why a comparison has no figure: a side has no valid cell, or their cells give nothing to compare."""

from __future__ import annotations

from collections.abc import Sequence

from lab.model.metrics import Metric
from lab.verdict import paired
from lab.verdict.cells.metrics import QUANTILES
from lab.verdict.cells.observe import FormView


def no_cell(form: FormView, references: Sequence[FormView], metric: Metric, level: str) -> str:
    """Why one side has no valid cell for this metric; "" when both have."""
    mine = form.why_none(*metric.families, level=level)
    if not references:
        return mine or "this run has no uninstrumented form"
    missing = [reference.why_none(*metric.families, level=level) for reference in references]
    return mine or (missing[0] if all(missing) else "")


def too_few(sides: Sequence[FormView], metric: Metric, level: str, types: Sequence[str] | None = None) -> str:
    """Why there is no figure although both sides have valid cells. types: the only ones that count; None: all do."""
    if why := _no_common_block(sides, metric, level):
        return why
    if "spans" in metric.families and not any(view.figures.spans for view in paired.cells(sides[1], metric, level)):
        return f"{sides[1].name} delivers no spans"
    if not metric.quantile:
        of, *base = (paired.blocks(side, metric, level) for side in sides)
        if of.isdisjoint(set().union(*base)):
            return "no counter for it in a block that both sides have"
        if metric.fit:
            return "no positive figure in every block: the fit over the rates of a block is within noise of zero"
        return "its counter reads zero or less in every common block"
    label, limit = metric.quantile, sides[0].late_shift_max
    moved = [v.late_shift[label] for side in sides for v in paired.cells(side, metric, level)]
    if limit is not None and max(moved, default=0.0) > limit:
        return f"late sends raised it by {max(moved):.1%} in a cell, limit {limit:.0%}"
    fewest = next(least for name, _, least in QUANTILES if name == label)
    few = f"too few answers: a cell needs {fewest:,} of one request type"
    if types is None or paired.effect(sides[0], sides[1:], metric, level)[0] is None:
        return few
    counts = f"{' and '.join(types)} count{'s' if len(types) == 1 else ''}"
    return f"{few}, and only {counts}, since the spans of the other types differ"


def _no_common_block(sides: Sequence[FormView], metric: Metric, level: str) -> str:
    """Why no block has a valid cell of the form and one of a reference; "" when one has."""
    of, *base = ({view.cell.block for view in paired.cells(side, metric, level)} for side in sides)
    if of & set().union(*base):
        return ""
    tried = [view for side in sides for view in side.tried(level)]
    void = [why for view in tried for family in metric.families for why in view.validity.void.get(family, ())]
    return f"no block has a valid cell of both sides ({void[0] if void else 'cells are missing'})"
