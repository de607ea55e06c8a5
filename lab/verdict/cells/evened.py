"""Collections of garbage, spread evenly over the cells of a process life.

A Go process collects its garbage every so many requests, whatever the edges of cells are: of two cells alike, one has a
collection more, and reads up to a tenth dearer. What collecting costs is the slope of the cells' instructions within
lives, over their number of collections or over the time that the runtime reports for them, whichever tells more: those
of a service are alike, of an agent's one takes twice as long as another. Each cell is then given the share of what its
life and load level collected that its requests have: cost moves between those cells, and none comes or goes.

What stays is the edge of a life. It may end just before its next collection or just after, so its sum is off by up to
one; that error is the same in all its cells, and no interval over blocks sees it. `Evened.edge` is its size. Where no
slope is clear, one collection costs at most what the runtime reports, which counts what else ran in between as well;
without a report, it costs what the dearest does of the forms of the run whose slope is clear.
A level with one cell in a life has an edge of its own, which nothing spreads: what a process allocates when idle is not
known, so collections per request of one level do not hold at another. `Evened.off` has this error for each cell.
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

    off: cell and attempt -> standard deviation of its CPU seconds by the edges of its life. edge: level -> that of the
    sum over its cells, as a share of the sum.
    """

    of: Mapping[Key, float]
    each: Mapping[str, float]
    off: Mapping[Key, float]
    edge: Mapping[str, float]


UNMOVED: Final = Evened(of={}, each={}, off={}, edge={})


def even(cells: Sequence[Cell], elsewhere: Mapping[str, float] | None = None) -> Evened:
    """For the cells of one form whose CPU is valid; nothing is moved where no collections are known.

    elsewhere: role -> seconds of one collection in other forms.
    """
    moved: dict[Key, float] = defaultdict(float)
    off: dict[Key, float] = defaultdict(float)
    of_level: dict[str, float] = defaultdict(float)
    each = {}
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
            reported_s = sum(cell.collecting_s.get(role, 0.0) for cell in known)
            one_s = reported_s / collections or (elsewhere or {}).get(role, 0.0)
        for members in _groups(known).values():
            together = sum(cell.completed for cell in members)
            for cell in members:
                share = cell.completed / together if best else 1.0
                off[_key(cell)] = math.hypot(off[_key(cell)], EDGE * one_s * share)
            of_level[members[0].level] = math.hypot(of_level[members[0].level], EDGE * one_s)
    whole_s: dict[str, float] = defaultdict(float)
    for cell in cells:
        whole_s[cell.level] += sum(_cpu_s(role, cell) for role in ROLES)
    edge = {level: off_s / whole_s[level] for level, off_s in of_level.items() if whole_s[level]}
    return Evened(of=dict(moved), each=each, off=dict(off), edge=edge)


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
    found = {}
    for members in _groups(cells).values():
        rate = sum(of(cell) for cell in members) / sum(cell.completed for cell in members)
        found.update({_key(cell): of(cell) - rate * cell.completed for cell in members})
    return found


def _groups(cells: Sequence[Cell]) -> dict[tuple[str, str], list[Cell]]:
    """By life and level."""
    groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.life, cell.level].append(cell)
    return groups


def _slope(cells: Sequence[Cell], role: str, measure: Measure) -> _Slope | None:
    """Least squares within each life and level; None where the cells do not tell."""
    x, y = _excess(cells, measure), _excess(cells, partial(_cpu_s, role))
    square, free = sum(value**2 for value in x.values()), len(x) - len(_groups(cells)) - 1
    if square < 1e-9 or free < FEWEST:
        return None
    slope = sum(x[key] * y[key] for key in x) / square
    left = sum((y[key] - slope * x[key]) ** 2 for key in x)
    return _Slope(measure, slope, left) if slope > CLEAR * math.sqrt(left / free / square) else None


def _unlike(cells: Sequence[Cell], role: str) -> int:
    """Cells with another number of collections than most of their life and level."""
    counts = [Counter(cell.collections[role] for cell in members) for members in _groups(cells).values()]
    return sum(count.total() - max(count.values()) for count in counts)


def _key(cell: Cell) -> Key:
    return cell.id, cell.attempt


def _collections(role: str, cell: Cell) -> float:
    return cell.collections[role]


def _collecting_s(role: str, cell: Cell) -> float:
    return cell.collecting_s[role]


def _cpu_s(role: str, cell: Cell) -> float:
    return sum(row.user_s + row.system_s for row in cell.usage if row.role == role)
