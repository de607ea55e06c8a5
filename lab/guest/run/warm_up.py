"""How warm a process is before a cell: as the plan has it, also where it begins at a later cell of its life.

A life that was stopped, and a cell that is run again, go on in a new process. Its first cell gets the warm-up of the
life. An agent does not settle in so few requests: one whose maps are not full yet sends other spans, at another cost.
Where cells are counted, which are short and share a life, it is therefore sent as many requests as the plan has before
that cell.
"""

from __future__ import annotations

from lab.guest.run.context import RunContext
from lab.guest.run.life import Running
from lab.guest.wire import COUNTED, CellPlan


def warmed(context: RunContext, running: Running, cell: CellPlan) -> int:
    """How many requests this process is sent before the cell, without being counted."""
    cells = running.life.cells
    own = cell.warmup_requests if running.requests else max(cell.warmup_requests, cells[0].warmup_requests)
    if context.plan.clock != COUNTED or running.form.agent is None:
        return own
    earlier = sum(one.warmup_requests + one.requests for one in cells[: cells.index(cell)])
    return max(own, earlier + cell.warmup_requests - running.requests)
