"""The vertical axis that the figures of cells share, and the unit of what a request costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from lab.guest.wire import COUNTED
from lab.model.summary import CellAttempt, Summary
from lab.report.form_style import label, line
from lab.report.markup import Html

WIDTH, HEIGHT = 1120.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 14.0, 22.0, 34.0
TICKS: Final = 5


def unit(summary: Summary) -> str:
    return "Millions of instructions" if summary.clock == COUNTED else "Milliseconds of CPU"


def shown(summary: Summary, cost: float) -> float:
    """Millions of instructions, or milliseconds (a second per 1,000 requests is a millisecond per request)."""
    return cost / 1e6 if summary.clock == COUNTED else cost


def used(summary: Summary) -> list[CellAttempt]:
    """Of each cell the attempt that the verdict reads, in order of time."""
    best: dict[str, CellAttempt] = {}
    for cell in sorted(summary.timeline, key=lambda cell: (cell.cost is None, len(cell.void), cell.attempt)):
        best.setdefault(cell.cell, cell)
    return sorted(best.values(), key=lambda cell: cell.start_s)


def scale(low: float, high: float, right: float, said: str) -> tuple[Callable[[float], float], list[Html]]:
    """Value -> y, and grid lines up to `right`; from `low` to `high` with a little room, from zero if `low` is zero.

    said: what the values are, with their unit: a figure on a slide has no text around it.
    """
    room = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    bottom = low - room if low else low
    span = high + room - bottom
    decade = 10.0 ** math.floor(math.log10(span / TICKS))
    step = decade * next(s for s in (1, 2, 5, 10) if span / (s * decade) <= TICKS)

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (value - bottom) / span * (HEIGHT - TOP - BOTTOM)

    parts: list[Html] = [label(0, TOP - 10, said, "tick")]
    for i in range(math.ceil(bottom / step), math.floor((bottom + span) / step) + 1):
        y = up(i * step)
        parts.append(line(LEFT, y, right, y, "grid" if i else "zero"))
        parts.append(label(LEFT - 8, y + 4, f"{i * step:g}", "tick", "end"))
    return up, parts
