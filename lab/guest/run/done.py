"""What of a run is done: by the cells and lives that its folder has, whichever start of it has left them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lab.guest.run.cell import cell_folder, is_saturated
from lab.guest.run.context import RunContext
from lab.guest.run.load import sends
from lab.guest.scoring.saturation import death, too_much
from lab.guest.wire import CELL_FILE, CELLS_DIR, REQUESTS_FILE, Cell, CellPlan, Life, load

LIVES_DIR = "lives"
LIFE_FILE = "life.json"


def attempts(context: RunContext, cell: CellPlan) -> list[Cell]:
    """Those that are whole, the first one first."""
    found = []
    for attempt in (1, 2):
        key = cell.id, attempt
        if key not in context.cells:
            path = context.out / CELLS_DIR / cell_folder(cell.id, attempt) / CELL_FILE
            if not path.exists():
                break  # nor is there a second
            context.cells[key] = load(Cell, path.read_bytes())
        found.append(context.cells[key])
    return found


def next_attempt(context: RunContext, cell: CellPlan) -> int:
    """1 or 2; 0 when the cell is done: valid or saturated once, or as often as allowed."""
    if cell.id in context.finished:
        return 0
    found = attempts(context, cell)
    again = context.plan.rerun_invalid or (context.plan.until_saturated and any(map(death, found)))
    if len(found) >= (2 if again else 1) or any(c.valid or is_saturated(context, c) for c in found):
        context.finished.add(cell.id)
        if context.plan.until_saturated and too_much([_with_rows(context, c) for c in found], context.plan.requests):
            later = next(life.cells[life.cells.index(cell) + 1 :] for life in context.plan.lives if cell in life.cells)
            context.finished.update(c.id for c in later)
        return 0
    return len(found) + 1


def _with_rows(context: RunContext, cell: Cell) -> tuple[list[tuple[int, int, int, int, str]], Cell]:
    return sends(context.out / CELLS_DIR / cell_folder(cell.id, cell.attempt) / REQUESTS_FILE), cell


def started(context: RunContext, life: Life) -> bool:
    """Whether it has been started, with whatever end."""
    return bool(_starts(context, life))


def life_failure(context: RunContext, life: Life) -> str:
    """The reason of a failed start of this life; "" when none failed."""
    for folder in _starts(context, life):
        doc = json.loads((folder / LIFE_FILE).read_text(encoding="utf-8"))
        if not doc["ok"]:
            return str(doc["reason"])
    return ""


def _starts(context: RunContext, life: Life) -> list[Path]:
    """The folder of each start: BLOCK-FORM.NUMBER, where another form's name may be this one's with a dot and more."""
    named = re.compile(r"%d-%s\.[0-9]+" % (life.block, re.escape(life.form)))
    folders = (context.out / LIVES_DIR).glob("*")
    return sorted(path for path in folders if named.fullmatch(path.name) and (path / LIFE_FILE).exists())


def find_done(context: RunContext) -> None:
    """Look once for the cells that an earlier start of this run has left."""
    for life in context.plan.lives:
        for cell in life.cells:
            next_attempt(context, cell)
