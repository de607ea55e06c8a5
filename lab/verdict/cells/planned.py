"""The cells that the plan has. A cell that is not among them is no measurement of this run, whatever it holds."""

from __future__ import annotations

from lab.guest.wire import Cell, Plan
from lab.model.run import Run

Key = tuple[str, str, int, str]  # id, form, block, level


def key(cell: Cell) -> Key:
    return cell.id, cell.form, cell.block, cell.level


def planned(plan: Plan) -> frozenset[Key]:
    lives = ((life, cell) for life in plan.lives if life.form in plan.forms for cell in life.cells)
    return frozenset((cell.id, life.form, cell.block or life.block, cell.level) for life, cell in lives)


def strangers(run: Run) -> list[str]:
    """A sentence for each attempt at a cell that is not in the plan."""
    known = planned(run.plan)
    return [
        f"{one.folder}: the cell {cell.id} of {cell.form}, block {cell.block}, level {cell.level} is not in the plan:"
        " it was left out"
        for one in run.cells
        if key(cell := one.cell) not in known
    ]
