"""The boots of the machine in which cells were measured: a new one may be faster or slower than the last."""

from __future__ import annotations

from collections import Counter

from lab.model.figures import plural
from lab.model.run import Run
from lab.verdict.cells.planned import key, planned


def several(run: Run) -> list[str]:
    """A sentence where there are several, which an interrupted run has when it is resumed after a new start."""
    known = planned(run.plan)
    ours = sorted((one.cell for one in run.cells if key(one.cell) in known), key=lambda cell: cell.window_start_ns)
    boots = Counter(cell.boot_id for cell in ours if cell.boot_id)
    if len(boots) < 2:
        return []
    each = ", then ".join(plural(count, "cell") for count in boots.values())
    return [f"the machine was started again during this run: {each} were measured in its {len(boots)} boots"]
