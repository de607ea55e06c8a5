"""The load generator: reads a plan file, prints one JSON line."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.guest.linux.atomic_files import write_text
from lab.guest.linux.child import Child
from lab.guest.linux.line_stream import LineStream
from lab.guest.linux.waiting import until
from lab.guest.run.context import LifeFailed, RunContext
from lab.guest.scoring.proof import Sent
from lab.guest.wire import COUNTED, CellPlan, encode
from lab.guest.wire.waits import held_up_s, in_flight, longest_request_s

ONE_THREAD = {"GOMAXPROCS": "1"}  # a second one only looks for work that the first already does
STOP_S = 1.0
URL = "http://127.0.0.1:%d"


def load_plan(context: RunContext, ports: int | dict[str, int], cell: CellPlan) -> dict[str, Any]:
    """lab-load's plan for one cell. ports: of the service, or of several by form."""
    plan = context.plan
    if isinstance(ports, int):
        target: dict[str, Any] = {"target": URL % ports}
    else:
        target = {"targets": [{"name": name, "url": URL % port} for name, port in ports.items()]}
    return {
        **target,
        "seed": cell.seed,
        "rate_rps": cell.rate_rps,
        "arrivals": plan.arrivals,
        "requests": cell.requests,
        "warmup_requests": cell.warmup_requests,
        "max_in_flight": in_flight(plan, cell.rate_rps),
        "timeout_s": plan.timeouts.request_s,
        "traceparent": False,
        "mix": [encode(request) for request in plan.requests],
    }


def start_load(context: RunContext, work: Path, port: int, cell: CellPlan, out: Path) -> Child:
    """Start warm-up and window; the rows go to `out`, which must not exist yet."""
    name = "load-%s" % cell.id
    plan_file = work / (name + ".json")
    write_text(plan_file, json.dumps(load_plan(context, port, cell)))
    argv = [context.artifact(context.plan.tools.load), "--plan", str(plan_file), "--out", str(out)]
    env = context.env(work, ONE_THREAD if context.plan.clock == COUNTED else {})
    return context.children.spawn(name, "load", argv, env, work, cpus=context.plan.layout.tools)


@contextlib.contextmanager
def generator(
    context: RunContext, ports: dict[str, int], cell: CellPlan, options: list[str]
) -> Iterator[tuple[Child, LineStream]]:
    """lab-load that sends the same to several forms, and its lines as it prints them; it has ended with the block."""
    plan_file = context.work / "live.json"
    plan_file.write_text(json.dumps(load_plan(context, ports, cell)), encoding="utf-8")
    argv = [context.artifact(context.plan.tools.load), "--plan", str(plan_file), *options]
    read, write = os.pipe()
    with contextlib.closing(LineStream(read)) as lines:
        try:
            env = context.env(context.work, ONE_THREAD if context.plan.clock == COUNTED else {})
            child = context.children.spawn(
                "live-load", "load", argv, env, context.work, cpus=context.plan.layout.tools, output=write
            )
        finally:
            os.close(write)
        try:
            yield child, lines
        finally:
            child.stop(STOP_S)
            context.children.processes.remove(child)


def longest_s(context: RunContext, cell: CellPlan) -> float:
    """Seconds after which a running load generator is stuck."""
    plan, requests = context.plan, cell.warmup_requests + cell.requests
    planned = requests / max(cell.rate_rps, 0.001) * 1.5 + held_up_s(plan, requests)
    return planned + 2 * longest_request_s(plan) + plan.timeouts.ready_s


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
    context: RunContext, work: Path, port: int, kind: str, index: int, seed: int
) -> tuple[Sent, dict[str, Any]]:
    """Send one request of one type, outside any load. Raises LifeFailed when the load generator fails."""
    cell = CellPlan(id="canary", level="", rate_rps=1.0, seed=seed, warmup_requests=0, requests=1)
    name = "canary-%d-%s" % (index, kind)
    plan_file = work / "canary.plan.json"
    write_text(plan_file, json.dumps(load_plan(context, port, cell)))
    argv = [context.artifact(context.plan.tools.load), "--once", kind, "--plan", str(plan_file), "--index", str(index)]
    child = context.children.spawn(name, "load", argv, context.env(work, {}), work, cpus=context.plan.layout.tools)
    limit_s = longest_request_s(context.plan) + context.plan.timeouts.ready_s
    until(context.cancel, child.ended, limit_s, 0.02)
    child.stop(0.1)
    context.children.processes.remove(child)
    try:
        doc = json.loads(child.lines()[-1])
        sent = Sent(kind, str(doc["request_id"]), int(doc["status"]), int(doc["start_ns"]), int(doc["end_ns"]))
    except (IndexError, ValueError, KeyError) as error:
        why = child.said().strip() or child.ended()
        raise LifeFailed("cannot send the canary %s: %s" % (kind, why)) from error
    return sent, doc
