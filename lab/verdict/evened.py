"""Collections of garbage, spread evenly over the cells of a form.

A Go process collects its garbage every so many requests, whatever the edges of cells and lives are: of two cells alike,
one has a collection more, and reads up to a tenth dearer. What a collection costs is the slope of the cells'
instructions over their collections, within lives. Each cell is then given the share of all collections of its
load level that its requests have, so cost moves between cells, and none comes or goes: the sum over the cells of a
level stays what was counted. Between levels nothing moves, since at a lower rate the standing cost collects more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from lab.guest.wire import Cell

ROLES: Final = ("service", "agent")
Key = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evened:
    """of: cell and attempt -> seconds to add to its CPU; each: role -> seconds of one collection."""

    of: Mapping[Key, float]
    each: Mapping[str, float]


def even(cells: Sequence[Cell]) -> Evened:
    """For the cells of one form whose CPU is valid; nothing is moved where no collections are known."""
    moved: dict[Key, float] = defaultdict(float)
    each = {}
    for role in ROLES:
        known = [cell for cell in cells if cell.life and cell.completed and role in cell.collections]
        cost_s = _cost_s(known, role)
        if cost_s <= 0:
            continue
        each[role] = cost_s
        for key, excess in _excess(known, partial(_collections, role), lambda cell: cell.level).items():
            moved[key] -= excess * cost_s
    return Evened(of=dict(moved), each=each)


def _excess(cells: Sequence[Cell], of: Callable[[Cell], float], within: Callable[[Cell], object]) -> dict[Key, float]:
    """What a cell has beyond its requests' share of what the cells of its group have together."""
    groups: dict[object, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[within(cell)].append(cell)
    found = {}
    for members in groups.values():
        rate = sum(of(cell) for cell in members) / sum(cell.completed for cell in members)
        found.update({_key(cell): of(cell) - rate * cell.completed for cell in members})
    return found


def _cost_s(cells: Sequence[Cell], role: str) -> float:
    """CPU seconds of one collection: least squares within each life and level. 0 where no two cells differ."""

    def group(cell: Cell) -> tuple[str, str]:
        return cell.life, cell.level

    x, y = _excess(cells, partial(_collections, role), group), _excess(cells, partial(_cpu_s, role), group)
    square = sum(value**2 for value in x.values())
    return sum(x[key] * y[key] for key in x) / square if square > 1e-9 else 0.0


def _key(cell: Cell) -> Key:
    return cell.id, cell.attempt


def _collections(role: str, cell: Cell) -> float:
    return cell.collections[role]


def _cpu_s(role: str, cell: Cell) -> float:
    return sum(row.user_s + row.system_s for row in cell.usage if row.role == role)
