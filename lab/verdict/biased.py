"""Whether one side of a comparison lost more of its cells than the other: it shows only its better ones."""

from __future__ import annotations

from collections.abc import Sequence

from lab.model.metrics import Metric
from lab.verdict import paired
from lab.verdict.cells.cell_view import CellView
from lab.verdict.cells.observe import FormView

Key = tuple[str, int, str]  # form, block and level of a planned cell


def biased(
    form: FormView, references: Sequence[FormView], metric: Metric, level: str, types: Sequence[str], *, full: bool
) -> str:
    """Why the sides are biased; "" when they are not. The references are one side.

    Only the cells count that the figure is made of: what a side lost at one level says nothing about another. A cell is
    lost where it gives no figure, whatever the cause. types: of a latency. full: the level is called SATURATED, which
    explains its saturated cells; where they are too few for that, those that are left are the better ones.

    Effects are paired by block, so one cell more or less on a side is no difference of shares.
    """
    mine, there = _Side([form], metric, level, types, full=full), _Side(references, metric, level, types, full=full)
    if not there.planned or abs(mine.lost - there.lost / there.planned * mine.planned) <= 1:
        return ""
    others = f"{there.lost} of {there.planned} on the other side{there.why}"
    return f"{mine.lost} of {mine.planned} cells of {form.name} have no valid figure{mine.why}, {others}"


class _Side:
    """The planned cells of these forms at one level, how many of them gave no figure, and why."""

    def __init__(
        self, forms: Sequence[FormView], metric: Metric, level: str, types: Sequence[str], *, full: bool
    ) -> None:
        self.planned = sum(form.planned_at(level) for form in forms)
        used = {_key(form, view) for form, view in paired.used(forms, metric, level, types)}
        tried = [(form, view) for form in forms for view in form.tried(level)]
        behind = {_key(form, view) for form, view in tried if view.saturated} - used
        sound = {_key(form, view) for form, view in tried if view.validity.holds(*metric.families)}
        self.lost = self.planned - len(used) - (len(behind) if full else 0)
        self.why = _said(
            {
                "{} attempt{s} INVALID": sum(form.invalid(*metric.families, level=level) for form in forms),
                "{} never ran": sum(form.never_ran(level) for form in forms),
                "{} saturated": 0 if full else len(behind - sound),
                _NO_NUMBER[bool(metric.quantile)]: len(sound - used - (behind if full else set())),
            }
        )


_NO_NUMBER = {True: "{} with too few answers or moved by late sends", False: "{} without a reading above zero"}


def _key(form: FormView, view: CellView) -> Key:
    return form.name, view.cell.block, view.cell.level


def _said(counts: dict[str, int]) -> str:
    parts = [what.format(count, s="s" if count > 1 else "") for what, count in counts.items() if count]
    return f" ({', '.join(parts)})" if parts else ""
