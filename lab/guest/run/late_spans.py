"""Spans of a cell that arrive after it was published: the file that the sink writes between cells, and its gate.

A cell is published when its spans have been still for a while, and nothing more can be known then. Before the next
cell, and when the life ends, that file is read once: spans of the cell in it are missing from its figures.
"""

from __future__ import annotations

from dataclasses import replace

from lab.guest.linux.atomic_files import write_text
from lab.guest.run.cell_result import short
from lab.guest.run.context import RunContext
from lab.guest.run.life import Running
from lab.guest.run.sink import read_spans
from lab.guest.scoring import gates as gating
from lab.guest.wire import CELL_FILE, CELLS_DIR, COUNTED, dump


def settle(context: RunContext, running: Running) -> None:
    """Judge the last cell by its late spans, once the sink has left their file: correct its record where any came."""
    published, running.published = running.published, None
    if published is None or not published.cell.window_start_ns:
        return
    cell, path = published.cell, published.late
    # on a counted clock the window ends after the drain, and traffic at least `quiet_s` before that
    drained_ns = int(context.plan.timeouts.quiet_s * 1e9) if context.plan.clock == COUNTED else 0
    first, last = cell.window_start_ns, cell.window_end_ns - drained_ns
    late = sum(1 for _ in read_spans(path, lambda span: first <= span.start_ns <= last))
    if not late:
        return
    found = gating.with_late_spans(cell.gates, late)
    reasons = gating.reasons(found)
    corrected = replace(cell, gates=found, reasons=reasons, valid=not reasons)
    write_text(context.out / CELLS_DIR / published.folder / CELL_FILE, dump(corrected) + "\n")
    context.cells[cell.id, cell.attempt] = corrected
    context.finished.discard(cell.id)  # it may be measured again
    context.journal.emit("cell", **short(corrected))
