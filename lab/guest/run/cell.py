"""One measured cell: load, counters, drain, gates, and its folder published atomically."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.guest.linux.atomic_files import publish, write_text
from lab.guest.linux.child import cpu_set
from lab.guest.linux.procfs import boot_id
from lab.guest.linux.sampler import (
    PERIOD_S,
    SLOW_EVERY,
    BpfStatistics,
    Sample,
    WindowUse,
    sentinel,
    take,
    window_use,
)
from lab.guest.linux.waiting import until
from lab.guest.run.context import RunContext
from lab.guest.run.life import Running
from lab.guest.run.load import longest_s, sends, start_load, summary
from lab.guest.run.sink import lines, read_spans, still
from lab.guest.scoring import gates as gating
from lab.guest.scoring.signature import signature
from lab.guest.wire import (
    CELL_FILE,
    CELLS_DIR,
    COUNTED,
    REQUESTS_FILE,
    SPANS_FILE,
    Cell,
    CellPlan,
    TypeStats,
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
    sentinel_s = 0.0 if counted else sentinel(SENTINEL_ROUNDS)  # a count does not drift
    failed = _warm_up(context, running, cell) if counted else ""
    rotated = running.sink.rotate(temp / SPANS_FILE)
    refused = running.sink.refused()
    load: dict[str, Any] = {}
    with contextlib.closing(BpfStatistics(wanted=bool(running.agents))) as statistics:
        samples = [_sample(context, running, statistics, slow=True)]
        if not failed:
            now = replace(cell, warmup_requests=0) if counted else cell
            load, failed = _loaded(context, running, now, temp / REQUESTS_FILE, statistics, samples)
        quiet = _drained(context, running)
        if counted:
            samples.append(_sample(context, running, statistics, slow=True))
    refused = max(0, running.sink.refused() - refused)
    rotated = running.sink.rotate(running.work / ("late-%s.spans.jsonl.gz" % name)) and rotated
    broken = {role: running.ended(role) for role in ("service", "agent", "sink")}
    if not rotated and not broken["sink"]:
        broken["sink"] = "does not rotate its file"
    raw = _Raw(samples, load, failed, broken, quiet, refused, sentinel_s)
    result = _result(context, running, cell, attempt, raw, temp)
    write_text(temp / CELL_FILE, dump(result) + "\n")
    publish(temp, context.out / CELLS_DIR / name)
    context.journal.emit("cell", **_short(result))
    return result


def _drained(context: RunContext, running: Running) -> bool:
    """Whether every span is in the sink; waits less for a form that is proven to send none."""
    quiet_s = context.plan.timeouts.quiet_s
    if running.form.proof != "some" and context.plan.clock != COUNTED:  # counted, all forms run equally long
        quiet_s = min(1.0, quiet_s)
    return still(context, running.sink, quiet_s, context.plan.timeouts.drain_s)


def _warm_up(context: RunContext, running: Running, cell: CellPlan) -> str:
    """Run the warm-up, outside of what is counted, to its end; returns why it failed, or ""."""
    if not cell.warmup_requests:
        return ""
    warm_up = replace(cell, requests=cell.warmup_requests, warmup_requests=0)
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


@dataclass(frozen=True)
class _Raw:
    """The raw results of a cell, before it is judged."""

    samples: list[Sample]
    summary: dict[str, Any]  # of the load generator; empty when it has none
    failed: str  # why it has none
    broken: dict[str, str]  # role -> how it ended; "" while it lives
    quiet: bool
    refused: int
    sentinel_s: float


def _result(context: RunContext, running: Running, cell: CellPlan, attempt: int, raw: _Raw, folder: Path) -> Cell:
    load = raw.summary
    start_ns, end_ns = int(load.get("window_start_ns", 0)), int(load.get("window_end_ns", 0))
    counted = context.plan.clock == COUNTED
    if counted and start_ns:  # everything counted, between two idle moments
        start_ns, end_ns = raw.samples[0].wall_ns, raw.samples[-1].wall_ns
    use = _use(context, raw.samples, start_ns, end_ns)
    spans, total = ({}, lines(folder / SPANS_FILE)) if counted else _count_spans(folder / SPANS_FILE, start_ns, end_ns)
    builds = {str(k): int(v) for k, v in (load.get("headers", {}).get("build") or {}).items()}
    cpus = os.cpu_count() or 1
    tools = cpu_set(context.plan.layout.tools)
    load_s = sum(u.user_s + u.system_s for u in use.usage if u.role == "load")
    facts = gating.Facts(
        scheduled=int(load.get("scheduled", cell.requests)),
        completed=int(load.get("completed", 0)),
        late=int(load.get("late", 0)),
        late_shift=gating.late_shift(sends(folder / REQUESTS_FILE), context.plan.requests),
        unexpected=int(load.get("unexpected", 0)),
        window_s=use.window_s,
        cpus=cpus,
        load_cpus=len(tools) or cpus,
        load_cpu_s=load_s,
        steal_s=use.system.steal_s,
        busy_s=use.system.busy_s,
        clock_step_s=use.clock_step_s,
        pause_s=0.0 if counted else use.pause_s,  # counted time pauses with the machine
        build_ids=builds,
        build_id=running.form.build_id if context.plan.service.build_header else "",
        spans_still=raw.quiet,
        sink_dropped=raw.refused,
        usage=use.usage,
        service_exit=raw.broken["service"],
        agent_exit=raw.broken["agent"],
        sink_exit=raw.broken["sink"],
        load_failed=raw.failed,
    )
    found = gating.gates(facts, context.plan.gates)
    reasons = gating.reasons(found)
    return Cell(
        id=cell.id,
        block=cell.block or running.life.block,
        form=running.form.name,
        level=cell.level,
        attempt=attempt,
        valid=not reasons,
        reasons=reasons,
        gates=found,
        rate_rps=cell.rate_rps,
        achieved_rps=float(load.get("achieved_rps", 0.0)),
        scheduled=facts.scheduled,
        completed=facts.completed,
        late=facts.late,
        unexpected=facts.unexpected,
        window_start_ns=start_ns,
        window_end_ns=end_ns,
        window_s=use.window_s,
        usage=use.usage,
        busy_s=use.system.busy_s,
        steal_s=use.system.steal_s,
        irq_s=use.system.irq_s,
        psi=use.psi,
        bpf_run_s=use.bpf_s,
        bpf_runs=use.bpf_runs,
        attach_s=running.attach_s,
        first_span_s=running.first_span_s,
        startup_s=running.startup_s,
        sentinel_s=raw.sentinel_s,
        spans=spans,
        spans_total=total,
        by_type=_by_type(load),
        delay_ns=(load.get("delay_ns") or {}).get("mean") if running.form.delay_kind else None,
        build_ids=builds,
        boot_id=boot_id(),
        agent_exit=next((a.code for a in running.agents if a.poll() is not None), None),
        life=running.id,
    )


def _use(context: RunContext, samples: list[Sample], start_ns: int, end_ns: int) -> WindowUse:
    if start_ns and len(samples) > 1:
        return window_use(samples, start_ns, end_ns, context.accounts.source)
    return WindowUse()


def _count_spans(path: Path, start_ns: int, end_ns: int) -> tuple[dict[str, int], int]:
    counts: Counter[str] = Counter()
    total = 0
    for span in read_spans(path):
        total += 1
        if start_ns <= span.start_ns <= end_ns:
            counts[signature(span).label()] += 1
    return dict(counts), total


def _by_type(load: dict[str, Any]) -> dict[str, TypeStats]:
    found = {}
    for name, stats in (load.get("by_type") or {}).items():
        values = {key: stats.get(key) for key in ("p50_ms", "p90_ms", "p99_ms")}
        if int(stats.get("count", 0)) and values["p50_ms"] is not None:
            found[str(name)] = TypeStats(
                count=int(stats["count"]),
                p50_ms=float(values["p50_ms"]),
                p90_ms=float(values["p90_ms"] if values["p90_ms"] is not None else values["p50_ms"]),
                p99_ms=None if values["p99_ms"] is None else float(values["p99_ms"]),
            )
    return found


def _short(cell: Cell) -> dict[str, Any]:
    """A finished cell for the live view."""
    cpu = {u.role: round(u.user_s + u.system_s, 4) for u in cell.usage}
    return {
        "id": cell.id,
        "form": cell.form,
        "attempt": cell.attempt,
        "valid": cell.valid,
        "reasons": list(cell.reasons),
        "void": list(gating.validity(cell.gates).void),
        "completed": cell.completed,
        "scheduled": cell.scheduled,
        "cpu_s": cpu,
        "spans": cell.spans,
        "p50_ms": {name: stats.p50_ms for name, stats in cell.by_type.items()},
    }
