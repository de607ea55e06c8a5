"""Whether the rows and spans of each planned cell can be read again: a run of hours would be void otherwise. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lab.guest.scoring.trees import surely_received, type_trees
from lab.guest.wire import FormSpec, Plan
from lab.model.mix import dealt
from lab.system.documents import ROWS

REQUESTS_MOST: Final = ROWS.rows - 1  # the first line names the columns
SPAN_BYTES: Final = 540  # of a line, as all agents send them, give or take a tenth
SPANS_MOST: Final = min(ROWS.rows, ROWS.size // SPAN_BYTES)


def faults(plan: Plan) -> Iterator[str]:
    """Why the report could not read the plan's largest cell."""
    cells = [cell for life in plan.lives for cell in life.cells]
    if not cells:
        return
    requests = max(cell.requests for cell in cells)
    if requests > REQUESTS_MOST:
        yield f"{requests:,} requests per cell; of a cell, at most {REQUESTS_MOST:,} can be read for the report"
        return
    sent = max(cell.warmup_requests + cell.requests for cell in cells)  # the spans of the warm-up are in the same file
    spans = {name: _spans(plan, form, sent) for name, form in plan.forms.items()}
    most = max(spans, key=lambda name: spans[name])
    if spans[most] > SPANS_MOST:
        text = f"{requests:,} requests per cell give at least {spans[most]:,} spans of {most}"
        yield f"{text}; of a cell, at most {SPANS_MOST:,} can be read for the report"


def _spans(plan: Plan, form: FormSpec, requests: int) -> int:
    """How many spans the form gives for so many requests, at least."""
    if form.proof != "some":
        return 0
    each = {
        kind: sum(node.count_min for node in tree.nodes.values() if surely_received(tree.expectation(node.id)))
        for kind, tree in type_trees(plan.reference, form.expected).items()
    }
    return sum(count * each.get(kind, 0) for kind, count in dealt(plan.requests, requests).items())
