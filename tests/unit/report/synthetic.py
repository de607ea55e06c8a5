"""TEST DATA. A made-up run directory with the shape of a real one: no figure in it was measured anywhere.

Everything follows from one seed, so that a golden report can be kept.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.guest.scoring.gates import late_sends, late_shift
from lab.guest.wire import (
    Canary,
    CanaryRequest,
    Cell,
    CellPlan,
    Gate,
    GuestManifest,
    Life,
    Plan,
    Span,
    SpanNode,
    TypeStats,
    Usage,
    dump,
    encode,
)
from lab.runs.manifest import DERIVED
from lab.runs.sealed import self_digest
from tests.unit.report.synthetic_host import FACTS, manifest, steps
from tests.unit.report.synthetic_plan import FORMS, MAP_FULL, MIX, ORIGIN_NS, ROOT, RUN_ID, Made, plan, reference

__all__ = ["FACTS", "FORMS", "MAP_FULL", "ROOT", "Made", "plan", "seal", "write"]


# --- one request ---------------------------------------------------------------------------------------------------


def spans_of(
    kind: str, start_ns: int, took_ns: int, made: Made, dice: random.Random, state: dict[str, int]
) -> list[Span]:
    """The spans that a made-up form gives for one request: the reference tree, less what the form loses."""
    if made.mechanism == "none":
        return []
    trace = f"{dice.getrandbits(128):032x}"
    ids: dict[str, tuple[str, int, int]] = {}
    found = []
    last: dict[str, int] = {}
    for node in reference()[kind]:
        parent, low, high = ids.get(node.parent, ("", start_ns + took_ns // 40, start_ns + took_ns))
        begin = last.get(node.parent, low + (high - low) // 12) + (high - low) // 40
        share = 0.86 if node.kind == "server" else 0.42
        end = max(begin + 1000, min(high - (high - low) // 20, begin + int((high - begin) * share)))
        last[node.parent] = end
        ident = f"{dice.getrandbits(64):016x}"
        ids[node.id] = (ident, begin, end)
        if f"{node.family} {node.kind}" == made.loses:
            state["seen"] = state.get("seen", 0) + 1
            if state["seen"] > made.first:
                ids[node.id] = (parent, begin, end)
                continue
        if node.kind == "server" and parent and dice.random() < made.orphans:
            parent = ""
        found.append(_span(node, trace, ident, parent, begin, end))
    return found


def _span(node: SpanNode, trace: str, ident: str, parent: str, begin: int, end: int) -> Span:
    method, _, path = node.match.partition(" ")
    attributes: dict[str, Any] = {
        "http": {"http.request.method": method, "url.path": path.replace("{id}", "17")},
        "grpc": {
            "rpc.system": "grpc",
            "rpc.service": node.match.split("/")[0],
            "rpc.method": node.match.split("/")[-1],
        },
        "sql": {"db.system": "sqlite", "db.query.text": f"{node.match} 1"},
    }[node.family]
    return Span(
        trace, ident, parent, node.kind, node.match, "made-up", "shop", begin, end, end + 5_000_000, "ok", attributes
    )


# --- one cell ------------------------------------------------------------------------------------------------------


def rows_of(cell: CellPlan, made: Made, start_ns: int) -> Iterator[tuple[int, int, int, int, str, str, str]]:
    dice, pace = random.Random(cell.seed), random.Random(f"{cell.id}-pace")
    at = start_ns
    base_ms = {"browse": 24.0, "get": 33.0, "search": 28.0, "checkout": 61.0, "fail": 3.0}
    for index in range(cell.requests):
        at += int(dice.expovariate(cell.rate_rps) * 1e9)
        kind, _, status = dice.choices(MIX, weights=[weight for _, weight, _ in MIX])[0]
        took_ms = base_ms[kind] * made.latency * pace.lognormvariate(0, 0.22)
        sent = at + pace.randrange(40_000, 300_000)
        yield at, sent, sent + int(took_ms * 1e6), status, kind, f"r-{cell.seed}-{index}", ""


def write(
    root: Path,
    *,
    blocks: int = 1,
    requests: int = 240,
    invalid: str = "",
    forms: dict[str, Made] | None = None,
    run_id: str = RUN_ID,
) -> Path:
    """Write a made-up run to `root`. `invalid` names a form whose first attempt in block 1 misses a gate."""
    forms = forms or FORMS
    what = replace(plan(blocks, requests, forms), run_id=run_id)
    guest = root / "guest"
    guest.mkdir(parents=True)
    (guest / "plan.json").write_text(dump(what), encoding="utf-8")
    (guest / "facts.json").write_text(json.dumps(FACTS), encoding="utf-8")
    at = ORIGIN_NS
    for life in what.lives:
        made = forms[life.form]
        state: dict[str, int] = {}
        for cell in life.cells:
            if life.form == invalid and life.block == 1:
                at = _cell(guest / "cells" / cell.id, what, cell, life, made, at, valid=False, attempt=1, state={})
                folder = guest / "cells" / f"{cell.id}.2"
                at = _cell(folder, what, cell, life, made, at, valid=True, attempt=2, state=state)
                _canary(guest, what, life, made, at - 60_000_000_000, attempt=2)
                continue
            at = _cell(guest / "cells" / cell.id, what, cell, life, made, at, valid=True, attempt=1, state=state)
            _canary(guest, what, life, made, at - 60_000_000_000)
    sealed = GuestManifest(
        what.run_id, what.digest(), "boot-1", tuple(c.id for li in what.lives for c in li.cells), (), "complete"
    )
    (guest / "manifest.json").write_text(dump(sealed), encoding="utf-8")
    (root / "manifest.json").write_text(json.dumps(manifest(what), indent=1), encoding="utf-8")
    (root / "host-events.jsonl").write_text("".join(json.dumps(r.to_json()) + "\n" for r in steps()), encoding="utf-8")
    return seal(root)


def seal(root: Path) -> Path:
    """Name the files as they are now in the manifest, as `lab.runs.manifest` does: what a test changed is the run."""
    doc = json.loads((root / "manifest.json").read_text(encoding="utf-8"))
    doc["files"] = [
        {"path": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for path in sorted(root.rglob("*"))
        if path.is_file() and (name := path.relative_to(root).as_posix()) not in DERIVED
        for data in [path.read_bytes()]
    ]
    doc["self_sha256"] = self_digest(doc)
    (root / "manifest.json").write_text(json.dumps(doc, indent=1), encoding="utf-8")
    return root


def _canary(guest: Path, what: Plan, life: Life, made: Made, at: int, attempt: int = 1) -> None:
    folder = guest / "lives" / f"{life.block}-{life.form}.{attempt}"
    folder.mkdir(parents=True)
    dice = random.Random(f"canary-{life.form}")
    sent = []
    for kind in what.canary:
        took = int({"browse": 26e6, "get": 36e6, "checkout": 64e6}[kind] * made.latency)
        spans = tuple(spans_of(kind, at, took, made, dice, {"seen": made.first if kind == "checkout" else 0}))
        seen = {node.id: 1 for node in what.reference[kind]} if spans else {}
        sent.append(CanaryRequest(kind, f"c-{kind}", 200, at, at + took, spans, seen, (), (), 0))
    first = 1.2 if made.mechanism != "none" else None
    (folder / "canary.json").write_text(dump(Canary(life.form, True, "", tuple(sent), first)), encoding="utf-8")


def _cell(
    folder: Path,
    what: Plan,
    cell: CellPlan,
    life: Life,
    made: Made,
    at: int,
    *,
    valid: bool,
    attempt: int,
    state: dict[str, int],
) -> int:
    folder.mkdir(parents=True)
    rows = list(rows_of(cell, made, at))
    if not valid:  # a generator that fell behind
        rows[::2] = [(row[0], row[1] + 5_000_000, row[2] + 5_000_000, *row[3:]) for row in rows[::2]]
    dice = random.Random(f"{cell.id}-spans")
    spans = [span for row in rows for span in spans_of(row[4], row[1], row[2] - row[1], made, dice, state)]
    with gzip.open(folder / "requests.csv.gz", "wt", encoding="utf-8") as out:
        out.write("intended_ns,start_ns,end_ns,status,type,request_id,trace_id\n")
        out.writelines(",".join(str(value) for value in row) + "\n" for row in rows)
    with gzip.open(folder / "spans.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(encode(span)) + "\n" for span in spans)
    end = max(row[2] for row in rows)
    (folder / "cell.json").write_text(
        dump(_record(what, cell, life, made, rows, spans, at, end, valid, attempt)), encoding="utf-8"
    )
    return end + 4_000_000_000


def _record(  # noqa: PLR0917 - one made-up cell, all its parts
    what: Plan,
    cell: CellPlan,
    life: Life,
    made: Made,
    rows: list[Any],
    spans: list[Span],
    at: int,
    end: int,
    valid: bool,
    attempt: int,
) -> Cell:
    count, window = len(rows), (end - at) / 1e9
    dice = random.Random(f"{cell.id}-{attempt}")
    cpu = 0.0138 * count * made.cpu * dice.uniform(0.985, 1.015)
    usage = [
        Usage(
            "service", cpu * 0.78, cpu * 0.22, 46 * (1.3 if made.mechanism == "compile-time" else 1.0), 60.0, "cgroup2"
        ),
        Usage("sink", 0.002 * len(spans) / 3 + 0.1, 0.05, 14.0, 15.0, "cgroup2"),
        Usage("load", 0.0021 * count, 0.0014 * count, 18.0, 19.0, "cgroup2"),
    ]
    if made.agent_s:
        usage.append(Usage("agent", made.agent_s * count * 0.7, made.agent_s * count * 0.3, 71.0, 96.0, "cgroup2"))
    late, _ = late_sends(rows)
    shift = late_shift(rows, what.requests)
    gates = (
        Gate("completed", True, 1.0, 0.995, "completed ÷ scheduled"),
        Gate("late", valid, shift, 0.02, f"{late} of {count} sends left late"),
        Gate("errors", True, 0.0, 0.0, "answers with an unexpected status"),
        Gate("steal", True, 0.0, 0.05, "share of all CPUs taken by the hypervisor"),
        Gate("unattributed", dice.random() > 0.3, 0.061, 0.05, "share of busy CPU that no role owns", hard=False),
    )
    stats: dict[str, TypeStats] = {}
    for kind in sorted({row[4] for row in rows}):
        taken = sorted((row[2] - row[0]) / 1e6 for row in rows if row[4] == kind)
        middle = (taken[(len(taken) - 1) // 2] + taken[len(taken) // 2]) / 2
        stats[kind] = TypeStats(len(taken), middle, taken[int(0.9 * (len(taken) - 1))])
    return Cell(
        id=cell.id, block=life.block, form=life.form, level=cell.level, attempt=attempt, valid=valid,
        reasons=() if valid else (f"late: {shift:.4g}, limit 0.02 ({late} of {count} sends left late)",), gates=gates,
        rate_rps=cell.rate_rps, achieved_rps=count / window, scheduled=count, completed=count, late=late, unexpected=0,
        window_start_ns=at, window_end_ns=end, window_s=window, usage=tuple(usage),
        busy_s=cpu * 1.4, steal_s=0.0, irq_s=0.1,
        psi={"cpu": 0.8}, bpf_run_s=0.12 * cpu * 0.22 if made.agent_s else None, attach_s=4.6 if made.agent_s else None,
        first_span_s=1.2 if made.mechanism != "none" else None, startup_s=0.9,
        sentinel_s=0.5 * dice.uniform(0.98, 1.02),
        spans={}, spans_total=len(spans), by_type=stats,
        delay_ns={"cpu": 2.76e6, "wait": 4.6e6}.get(made.delay), build_ids={"b-plain": count}, boot_id="boot-1",
    )  # fmt: skip
