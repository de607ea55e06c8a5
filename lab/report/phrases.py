"""Phrases that several parts of the report share."""

from __future__ import annotations

from typing import Final

from lab.model import figures
from lab.model.figures import plural
from lab.model.metrics import ALL_LEVELS, METRICS
from lab.model.summary import UNSAFE, CellAttempt, Summary, Verdict
from lab.model.summary_form import Cells

FAMILIES: Final = {"spans": "spans", "cpu": "CPU", "memory": "memory", "latency": "latency"}


def heading(title: str) -> str:
    """With a capital letter; p90 stays p90."""
    return title[0].upper() + title[1:] if title[:2].isalpha() else title


def interval(row: Verdict) -> str:
    """The interval of the blocks; without one, the range by one garbage collection more or less."""
    if row.low_pct is None and row.range_pct and not row.lost:
        return f"{figures.interval(*row.range_pct)} by one garbage collection"
    return figures.interval(row.low_pct, row.high_pct)


def compared(summary: Summary, row: Verdict) -> str:
    """The metric of a comparison, with its load level where the run has several."""
    name = heading(METRICS[row.metric].on(summary.clock) if row.metric in METRICS else row.metric)
    return f"{name}{level(summary, row)}"


def level(summary: Summary, row: Verdict) -> str:
    """The load level of a comparison after its metric; "" where the run has only one."""
    levels = {other.level for other in summary.verdicts} - {ALL_LEVELS}
    return "" if len(levels) < 2 or row.level == ALL_LEVELS else f", {row.level}"


def usable(cells: Cells) -> str:
    """6 of 6 cells valid; or, where some are so in part: 3 of 6 cells valid in everything (spans 6, CPU 6, …)."""
    text = f"{cells.valid} of {plural(cells.planned, 'cell')} valid"
    parts = {FAMILIES[family]: number for family, number in cells.usable.items()}
    if set(parts.values()) != {cells.valid}:
        text += f" in everything ({', '.join(f'{name} {number}' for name, number in parts.items())})"
    return text + saturated(cells)


def saturated(cells: Cells) -> str:
    """How many cells are saturated, after how many are valid; "" where none is."""
    return f", {cells.saturated} saturated" if cells.saturated else ""


def kept_up(summary: Summary) -> list[str]:
    """A sentence for each form that was searched for its saturation."""
    said = []
    for name, form in summary.forms.items():
        if (of := form.saturation) is not None:
            lost = "the highest rate tried" if of.lost_rps is None else f"not with {of.lost_rps:,.0f}/s"
            said.append(f"{name} keeps up with {of.kept_rps:,.0f} requests/s, {lost}")
    return said


def void(attempt: CellAttempt) -> str:
    """The validity of an attempt: valid, saturated, INVALID, or the families for which it is not valid."""
    if attempt.saturated:
        return "saturated"
    if not attempt.void:
        return "valid"
    if set(attempt.void) >= set(FAMILIES):
        return "INVALID"
    return "not valid for " + ", ".join(FAMILIES[family] for family in attempt.void)


def unsafe(summary: Summary, name: str, metric: str, *, level: str | None = None) -> str:
    """BIASED or SATURATED where this figure of a form is so, at this load level or at any; else "".

    A form that is compared with nothing (the baseline, the twin, a control) is saturated by its cells, as the verdict
    has it: at a level at which half of them or more fell behind.
    """
    rows = [row for row in summary.verdicts if (row.form, row.against) == (name, "baseline")]
    words = [row.word for row in rows if row.metric == metric and level in {None, row.level}]
    if rows:
        return next((word for word in words if word in UNSAFE), "")
    behind: dict[str, list[bool]] = {}
    for attempt in summary.timeline:
        if attempt.form == name and level in {None, ALL_LEVELS, attempt.level}:
            behind.setdefault(attempt.level, []).append(attempt.saturated)
    return "SATURATED" if any(2 * sum(fell) >= len(fell) for fell in behind.values()) else ""


def titled(summary: Summary, name: str, metric: str, *, level: str | None = None) -> str:
    """The form in a legend, with the word that its figure needs."""
    return ", ".join(filter(None, (name, unsafe(summary, name, metric, level=level))))


def unproven(summary: Summary) -> list[str]:
    """Each failed proof with its reason, as a sentence."""
    return [f"{name}: proof FAILED: {why}" for name, why in summary.unproven.items()]
