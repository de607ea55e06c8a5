"""Spans that arrive after a cell was published: its gate fails by their number, and the cell is measured again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.guest.linux.waiting import Cancel
from lab.guest.run.context import RunContext
from lab.guest.run.journal import Journal
from lab.guest.run.late_spans import settle
from lab.guest.run.life import Published, Running
from lab.guest.scoring.gates import validity
from lab.guest.wire import CELL_FILE, CELLS_DIR, Cell, Gate, Timeouts, dump, load
from tests.simulate.session import CELL

START_NS, END_NS, S = 10_000_000_000, 20_000_000_000, 1_000_000_000
NAME = "01-woven-one"
MEASURED = replace(
    CELL,
    id=NAME,
    attempt=1,
    valid=True,
    reasons=(),
    window_start_ns=START_NS,
    window_end_ns=END_NS,
    gates=(
        Gate("completed", True, 1.0, 0.995),
        Gate("spans_still", True, 0.0, 0.0, "1: spans arrived after the drain"),
    ),
)


def span(start_ns: int) -> dict[str, Any]:
    recorded = json.loads((Path(__file__).parent / "recorded/canary-orchestrion-otel.json").read_text())
    return {**recorded[0]["spans"][0], "start_ns": start_ns, "end_ns": start_ns + 1_000_000}


@pytest.fixture
def context(tmp_path: Path) -> Iterator[RunContext]:
    folder = tmp_path / CELLS_DIR / NAME
    folder.mkdir(parents=True)
    (folder / CELL_FILE).write_text(dump(MEASURED))
    journal = Journal(tmp_path)
    plan = SimpleNamespace(clock="real", timeouts=Timeouts(quiet_s=3.0))  # no more of it decides this
    unused: Any = None
    yield RunContext(cast("Any", plan), tmp_path, tmp_path, tmp_path, journal, unused, unused, Cancel())
    journal.close()


def after(context: RunContext, *starts: int) -> Cell:
    """The record of the cell after spans with these starts arrived late."""
    late = context.work / f"late-{NAME}.spans.jsonl.gz"
    with gzip.open(late, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(span(start)) + "\n" for start in starts)
    unused: Any = None
    running = Running(id="1-woven.1", life=unused, form=unused, work=context.work, ports={}, sink=unused)
    running.published = Published(MEASURED, NAME, late)
    context.cells[NAME, 1] = MEASURED
    context.finished.add(NAME)
    settle(context, running)
    settle(context, running)  # a life that ends after the next cell did not begin
    return load(Cell, (context.out / CELLS_DIR / NAME / CELL_FILE).read_bytes())


def test_spans_of_the_cell_that_arrive_late_void_its_spans_and_nothing_else(context: RunContext) -> None:
    cell = after(context, START_NS + S, END_NS - S, END_NS + S)
    gate = next(gate for gate in cell.gates if gate.name == "spans_still")
    assert (gate.ok, gate.value) == (False, 2.0)
    assert not cell.valid
    assert cell.reasons == ("spans_still: 2, limit 0 (spans of this cell arrived after its drain)",)
    assert set(validity(cell.gates).void) == {"spans"}
    assert context.cells[NAME, 1] == cell
    assert NAME not in context.finished, "it may be measured again"
    events = [json.loads(line) for line in (context.out / "events.jsonl").read_text().splitlines()]
    assert [(event["kind"], event["data"]["valid"]) for event in events] == [("cell", False)]


def test_other_late_spans_leave_the_cell_as_it_is(context: RunContext) -> None:
    assert after(context, START_NS - S, END_NS + S) == MEASURED
    assert NAME in context.finished


def test_on_a_counted_clock_the_drain_is_no_traffic_of_the_cell(context: RunContext) -> None:
    context.plan = cast("Any", SimpleNamespace(clock="counted", timeouts=Timeouts(quiet_s=3.0)))
    assert after(context, END_NS - S) == MEASURED
    assert not after(context, END_NS - 4 * S).valid
