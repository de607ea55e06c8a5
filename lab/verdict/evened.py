"""Collections of garbage, spread evenly over the cells of a process life.

A Go process collects its garbage every so many requests, whatever the edges of cells are: of two cells alike, one has a
collection more, and reads up to a tenth dearer. What collecting costs is the slope of the cells' instructions within
lives, over their number of collections or over the time that the runtime reports for them, whichever tells more: those
of a service are alike, of an agent's one takes twice as long as another. Each cell is then given the share of what its
life and load level collected that its requests have: cost moves between those cells, and none comes or goes.

What stays is the edge of a life. It may end just before its next collection or just after, so its sum is off by up to
one; that error is the same in all its cells, and no interval over blocks sees it. `Evened.edge` is its size. Where no
slope is clear, one collection costs at most what the runtime reports, which counts what else ran in between as well.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from lab.guest.wire import Cell

ROLES: Final = ("service", "agent")
FEWEST: Final = 2  # cells with another number of collections than most of their life: one alone may be an outlier
CLEAR: Final = 3.0  # standard errors of the slope
EDGE: Final = 0.5  # standard deviation of a life's collections at most: between two whole numbers, by chance
Key = tuple[str, int]
Measure = Callable[[Cell], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evened:
    """of: cell and attempt -> seconds to add to its CPU; each: role -> seconds of one collection.

    edge: standard deviation of the sum over all cells by the edges of their lives, as a share of that sum.
    """

    of: Mapping[Key, float]
    each: Mapping[str, float]
    edge: float


UNMOVED: Final = Evened(of={}, each={}, edge=0.0)


def even(cells: Sequence[Cell]) -> Evened:
    """For the cells of one form whose CPU is valid; nothing is moved where no collections are known."""
    moved: dict[Key, float] = defaultdict(float)
    each = {}
    off_s = 0.0
    for role in ROLES:
        known = [cell for cell in cells if cell.life and cell.completed and role in cell.collections]
        collections = sum(cell.collections[role] for cell in known)
        if not collections:
            continue
        slopes = [_slope(known, role, measure) for measure in _measures(known, role)]
        if best := min(filter(None, slopes), key=lambda one: one.left, default=None):
            each[role] = one_s = best.of * sum(map(best.measure, known)) / collections
            for key, excess in _excess(known, best.measure).items():
                moved[key] -= excess * best.of
        else:
            one_s = sum(cell.collecting_s.get(role, 0.0) for cell in known) / collections
        off_s = math.hypot(off_s, EDGE * one_s * math.sqrt(len({cell.life for cell in known})))
    whole_s = sum(_cpu_s(role, cell) for cell in cells for role in ROLES)
    return Evened(of=dict(moved), each=each, edge=off_s / whole_s if whole_s else 0.0)


@dataclass(frozen=True, slots=True)
class _Slope:
    """of: CPU seconds per unit of the measure. left: sum of squares that it does not explain."""

    measure: Measure
    of: float
    left: float


def _measures(cells: Sequence[Cell], role: str) -> list[Measure]:
    """What the cost of collecting may follow: their number, and their CPU by the runtime where all cells have it."""
    found = [partial(_collections, role)] if _unlike(cells, role) >= FEWEST else []
    return [*found, partial(_collecting_s, role)] if all(role in cell.collecting_s for cell in cells) else [*found]


def _excess(cells: Sequence[Cell], of: Callable[[Cell], float]) -> dict[Key, float]:
    """What a cell has beyond its requests' share of what the cells of its life and level have together."""
    groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.life, cell.level].append(cell)
    found = {}
    for members in groups.values():
        rate = sum(of(cell) for cell in members) / sum(cell.completed for cell in members)
        found.update({_key(cell): of(cell) - rate * cell.completed for cell in members})
    return found


def _slope(cells: Sequence[Cell], role: str, measure: Measure) -> _Slope | None:
    """Least squares within each life and level; None where the cells do not tell."""
    x, y = _excess(cells, measure), _excess(cells, partial(_cpu_s, role))
    square, free = sum(value**2 for value in x.values()), len(x) - len({(c.life, c.level) for c in cells}) - 1
    if square < 1e-9 or free < FEWEST:
        return None
    slope = sum(x[key] * y[key] for key in x) / square
    left = sum((y[key] - slope * x[key]) ** 2 for key in x)
    return _Slope(measure, slope, left) if slope > CLEAR * math.sqrt(left / free / square) else None


def _unlike(cells: Sequence[Cell], role: str) -> int:
    """Cells with another number of collections than most of their life and level."""
    groups: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for cell in cells:
        groups[cell.life, cell.level][cell.collections[role]] += 1
    return sum(counts.total() - max(counts.values()) for counts in groups.values())


def _key(cell: Cell) -> Key:
    return cell.id, cell.attempt


def _collections(role: str, cell: Cell) -> float:
    return cell.collections[role]


def _collecting_s(role: str, cell: Cell) -> float:
    return cell.collecting_s[role]


def _cpu_s(role: str, cell: Cell) -> float:
    return sum(row.user_s + row.system_s for row in cell.usage if row.role == role)
