"""The load generator: reads a plan file, prints one JSON line."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from lab.guest.linux.atomic_files import write_text
from lab.guest.linux.child import Child
from lab.guest.linux.waiting import until
from lab.guest.run.context import LifeFailed, RunContext
from lab.guest.scoring.proof import Sent
from lab.guest.wire import COUNTED, CellPlan, encode

IN_FLIGHT_MAX = 4096
ONE_THREAD = {"GOMAXPROCS": "1"}  # a second one only looks for work that the first already does


def load_plan(bench: RunContext, port: int, cell: CellPlan) -> dict[str, Any]:
    """lab-load's plan for one cell."""
    plan = bench.plan
    in_flight = int(cell.rate_rps * plan.timeouts.request_s) + 16
    return {
        "target": "http://127.0.0.1:%d" % port,
        "seed": cell.seed,
        "rate_rps": cell.rate_rps,
        "arrivals": plan.arrivals,
        "requests": cell.requests,
        "warmup_requests": cell.warmup_requests,
        "max_in_flight": min(IN_FLIGHT_MAX, max(64, in_flight)),
        "timeout_s": plan.timeouts.request_s,
        "traceparent": False,
        "mix": [encode(request) for request in plan.requests],
    }


def start_load(bench: RunContext, work: Path, port: int, cell: CellPlan, out: Path) -> Child:
    """Start warm-up and window; the rows go to `out`, which must not exist yet."""
    name = "load-%s" % cell.id
    plan_file = work / (name + ".json")
    write_text(plan_file, json.dumps(load_plan(bench, port, cell)))
    argv = [bench.artifact(bench.plan.tools.load), "--plan", str(plan_file), "--out", str(out)]
    env = bench.env(work, ONE_THREAD if bench.plan.clock == COUNTED else {})
    return bench.nursery.spawn(name, "load", argv, env, work, cpus=bench.plan.layout.tools)


def longest_s(bench: RunContext, cell: CellPlan) -> float:
    """Seconds after which a running load generator is stuck."""
    planned = (cell.warmup_requests + cell.requests) / max(cell.rate_rps, 0.001)
    return planned * 1.5 + 2 * bench.plan.timeouts.request_s + bench.plan.timeouts.ready_s


def summary(child: Child) -> dict[str, Any] | None:
    """The summary from the last line of its output."""
    for line in reversed(child.lines()):
        try:
            doc = json.loads(line)
        except ValueError:
            return None
        return doc if isinstance(doc, dict) and "scheduled" in doc else None
    return None


def sends(out: Path) -> list[tuple[int, int, int, int, str]]:
    """The rows of the file: intended, start and end (nanoseconds), status, type; none when it is truncated."""
    try:
        with gzip.open(out, "rt", encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            next(rows, None)
            return [(int(r[0]), int(r[1]), int(r[2]), int(r[3]), r[4]) for r in rows]
    except (OSError, EOFError, zlib.error, ValueError, IndexError):
        return []


def send_once(
    bench: RunContext, work: Path, port: int, kind: str, index: int, seed: int
) -> tuple[Sent, dict[str, Any]]:
    """Send one request of one type, outside any load. Raises LifeFailed when the load generator fails."""
    cell = CellPlan(id="canary", level="", rate_rps=1.0, seed=seed, warmup_requests=0, requests=1)
    name = "canary-%d-%s" % (index, kind)
    plan_file = work / "canary.plan.json"
    write_text(plan_file, json.dumps(load_plan(bench, port, cell)))
    argv = [bench.artifact(bench.plan.tools.load), "--once", kind, "--plan", str(plan_file), "--index", str(index)]
    child = bench.nursery.spawn(name, "load", argv, bench.env(work, {}), work, cpus=bench.plan.layout.tools)
    limit_s = bench.plan.timeouts.request_s + bench.plan.timeouts.ready_s
    until(bench.cancel, child.ended, limit_s, 0.02)
    child.stop(0.1)
    bench.nursery.children.remove(child)
    try:
        doc = json.loads(child.lines()[-1])
        sent = Sent(kind, str(doc["request_id"]), int(doc["status"]), int(doc["start_ns"]), int(doc["end_ns"]))
    except (IndexError, ValueError, KeyError) as error:
        why = child.said().strip() or child.ended()
        raise LifeFailed("cannot send the canary %s: %s" % (kind, why)) from error
    return sent, doc
