"""One measured cell: load, counters, drain, gates, and its folder published atomically."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.guest.linux.atomic_files import publish, write_text
from lab.guest.linux.sampler import (
    PERIOD_S,
    SLOW_EVERY,
    BpfStatistics,
    Sample,
    sentinel,
    take,
)
from lab.guest.linux.waiting import until
from lab.guest.run.cell_result import RawCell, result, short
from lab.guest.run.context import RunContext
from lab.guest.run.late_spans import settle
from lab.guest.run.life import Published, Running
from lab.guest.run.load import longest_s, sends, start_load, summary
from lab.guest.run.sink import still
from lab.guest.run.warm_up import warmed
from lab.guest.scoring.saturation import queue, saturated
from lab.guest.wire import (
    CELL_FILE,
    CELLS_DIR,
    COUNTED,
    REQUESTS_FILE,
    SPANS_FILE,
    Cell,
    CellPlan,
    dump,
)

SENTINEL_ROUNDS = 200_000
COUNTED_PERIOD_S = 1.0  # what is counted is read before and after; in between, only for whoever watches


def cell_folder(ident: str, attempt: int) -> str:
    """Name of the folder below cells/; a rerun has its own beside the first attempt."""
    return ident if attempt == 1 else "%s.%d" % (ident, attempt)


def run_cell(context: RunContext, running: Running, cell: CellPlan, attempt: int) -> Cell:
    """Measure and publish; always returns a cell, with its missed gates when something failed."""
    name = cell_folder(cell.id, attempt)
    temp = context.out / CELLS_DIR / (".tmp-" + name)
    shutil.rmtree(str(temp), ignore_errors=True)
    temp.mkdir(parents=True)
    context.journal.emit("state", phase="cell", cell=cell.id, attempt=attempt, form=running.form.name)
    counted = context.plan.clock == COUNTED
    # before the warm-up, whose spans belong to no cell
    running.sink.rotate(running.work / ("warm-up-%s.spans.jsonl.gz" % name))
    settle(context, running)
    sentinel_s = 0.0 if counted else sentinel(SENTINEL_ROUNDS)  # a count does not drift
    warm_up = warmed(context, running, cell)
    running.requests += warm_up + cell.requests
    failed = _warm_up(context, running, cell, warm_up) if counted else ""
    rotated = running.sink.rotate(temp / SPANS_FILE)
    refused = running.sink.refused()
    load: dict[str, Any] = {}
    before = running.collections() if counted else {}
    with contextlib.closing(BpfStatistics(wanted=bool(running.agents))) as statistics:
        samples = [_sample(context, running, statistics, slow=True)]
        if not failed:
            now = replace(cell, warmup_requests=0 if counted else warm_up)
            load, failed = _loaded(context, running, now, temp / REQUESTS_FILE, statistics, samples)
        if load and not counted:  # answers may still have come while the last sample was being shown
            samples.append(_sample(context, running, statistics, slow=True))
        quiet = _drained(context, running)
        if counted:
            samples.append(_sample(context, running, statistics, slow=True))
    refused = max(0, running.sink.refused() - refused)
    late = running.work / ("late-%s.spans.jsonl.gz" % name)
    rotated = running.sink.rotate(late) and rotated
    broken = {role: running.ended(role) for role in ("service", "agent", "sink")}
    if not rotated and not broken["sink"]:
        broken["sink"] = "does not rotate its file"
    collections = {role: running.collections()[role].since(earlier) for role, earlier in before.items()}
    raw = RawCell(samples, load, failed, broken, quiet, refused, sentinel_s, collections)
    measured = result(context, running, cell, attempt, raw, temp)
    write_text(temp / CELL_FILE, dump(measured) + "\n")
    publish(temp, context.out / CELLS_DIR / name)
    running.published = Published(measured, name, late)
    context.journal.emit("cell", **short(measured), saturated=is_saturated(context, measured))
    return measured


def is_saturated(context: RunContext, cell: Cell) -> bool:
    """Whether a published cell is not valid because of its load: again, it would be so again, and take as long."""
    rows = context.out / CELLS_DIR / cell_folder(cell.id, cell.attempt) / REQUESTS_FILE
    return not cell.valid and saturated(queue(sends(rows), context.plan.requests), cell)


def _drained(context: RunContext, running: Running) -> bool:
    """Whether every span is in the sink; waits less for a form that is proven to send none."""
    quiet_s = context.plan.timeouts.quiet_s
    if running.form.proof != "some" and context.plan.clock != COUNTED:  # counted, all forms run equally long
        quiet_s = min(1.0, quiet_s)
    return still(context, running.sink, quiet_s, context.plan.timeouts.drain_s)


def _warm_up(context: RunContext, running: Running, cell: CellPlan, requests: int) -> str:
    """Run the warm-up, outside of what is counted, to its end; returns why it failed, or ""."""
    if not requests:
        return ""
    rate_rps = running.life.cells[0].rate_rps  # a slow cell that comes first is warmed up like any other
    warm_up = replace(cell, rate_rps=rate_rps, requests=requests, warmup_requests=0)
    rows = running.work / ("warm-up-%s.csv.gz" % cell.id)
    rows.unlink(missing_ok=True)
    _, failed = _loaded(context, running, warm_up, rows)
    _drained(context, running)
    return failed


def _sample(context: RunContext, running: Running, statistics: BpfStatistics, *, slow: bool) -> Sample:
    return take(context.accounts, [agent.pid for agent in running.agents], slow=slow, bpf=statistics.on)


def _loaded(
    context: RunContext,
    running: Running,
    cell: CellPlan,
    rows: Path,
    statistics: BpfStatistics | None = None,
    samples: list[Sample] | None = None,
) -> tuple[dict[str, Any], str]:
    """Run the load generator and append to `samples` meanwhile; ends early when a process of the form dies.

    Returns its summary, and why it has none.
    """
    counted = context.plan.clock == COUNTED
    load = start_load(context, running.work, running.target, cell, rows)
    until_s = time.monotonic() + longest_s(context, cell)
    failed = ""
    try:
        while load.poll() is None:
            failed = running.broken()
            if failed or time.monotonic() > until_s:
                failed = "" if failed else "did not end in time"
                load.stop(2.0)
                break
            until(context.cancel, load.ended, COUNTED_PERIOD_S if counted else PERIOD_S, 0.05)
            if samples is None or statistics is None:
                continue
            slow = not counted and (len(samples) % SLOW_EVERY == 0 or load.code is not None)
            samples.append(_sample(context, running, statistics, slow=slow))
            if slow or counted:
                _tell(context, running, cell, samples)
    finally:
        load.stop(2.0)
        context.children.processes.remove(load)
    result = summary(load)
    if result is None and not failed:
        failed = "%s: %s" % (load.ended(), load.said().strip()[-300:])
    if result is not None and load.code != 0:
        failed = load.ended()
    return result or {}, failed if not running.broken() else ""


def _tell(context: RunContext, running: Running, cell: CellPlan, samples: Sequence[Sample]) -> None:
    """One sample for the live view: CPU per role since the last one."""
    last = samples[-1]
    before = samples[max(0, len(samples) - (2 if context.plan.clock == COUNTED else 1 + SLOW_EVERY))]
    seconds = max(1e-9, (last.mono_ns - before.mono_ns) / 1e9)
    cores = {role: round((sum(last.cpu[role]) - sum(before.cpu[role])) / seconds, 4) for role in last.cpu}
    context.journal.emit("sample", cell=cell.id, cores=cores, spans=running.sink.count(), form=running.form.name)
