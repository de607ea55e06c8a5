"""The record of a measured cell: figures of its window, its gates, and what the live view gets of it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.guest.linux.child import cpu_set
from lab.guest.linux.gc_log import Collected
from lab.guest.linux.procfs import boot_id
from lab.guest.linux.sampler import Sample, WindowUse, window_use
from lab.guest.run.context import RunContext
from lab.guest.run.life import Running
from lab.guest.run.load import sends
from lab.guest.run.sink import lines, read_spans
from lab.guest.scoring import gates as gating
from lab.guest.scoring.signature import signature
from lab.guest.wire import COUNTED, REQUESTS_FILE, SPANS_FILE, Cell, CellPlan, TypeStats


@dataclass(frozen=True)
class RawCell:
    """The raw results of a cell, before it is judged."""

    samples: list[Sample]
    summary: dict[str, Any]  # of the load generator; empty when it has none
    failed: str  # why it has none
    broken: dict[str, str]  # role -> how it ended; "" while it lives
    quiet: bool
    refused: int
    sentinel_s: float
    collections: dict[str, Collected]


def result(context: RunContext, running: Running, cell: CellPlan, attempt: int, raw: RawCell, folder: Path) -> Cell:
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
        collections={role: found.number for role, found in raw.collections.items()},
        collecting_s={role: found.cpu_s for role, found in raw.collections.items() if found.whole == found.number},
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


def short(cell: Cell) -> dict[str, Any]:
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
