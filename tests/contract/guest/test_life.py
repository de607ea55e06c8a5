"""A whole life with the real parts, under this Python and under 3.9."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lab.guest.linux.facts import lockdown
from lab.guest.run.sink import read_spans
from lab.guest.scoring.matching import Row
from lab.guest.scoring.tally import tally
from lab.guest.wire import Canary, Cell, GuestManifest, Saturation, load
from lab.runs import read, saturation
from tests.contract.guest.conftest import REFERENCE, baseline, ebpf, events, leftovers, plan, run_guest
from tests.support import python_39

# the first of them waits for the compiler
pytestmark = [pytest.mark.forms, pytest.mark.timeout(1800)]


def cell_of(out: Path, name: str) -> Cell:
    return load(Cell, (out / "cells" / name / "cell.json").read_bytes())


@pytest.mark.parametrize("interpreter", ["this", "3.9"])
def test_baseline_life_is_sealed_and_adds_up(artifacts: Path, out: Path, interpreter: str) -> None:
    python = sys.executable if interpreter == "this" else python_39()
    code, answer = run_guest(plan(artifacts, [baseline(artifacts)]), out, artifacts, python)
    assert (code, answer["outcome"], answer["cells"]) == (0, "complete", ["01-baseline-mid"])

    cell = cell_of(out, "01-baseline-mid")
    assert cell.valid
    assert cell.completed == cell.scheduled == 40
    assert cell.build_ids == {(artifacts / "build-id").read_text(): 40}
    assert cell.spans_total == 0
    used = {u.role: u.user_s + u.system_s for u in cell.usage}
    assert 0.005 < used["service"] < cell.window_s
    assert 0.001 < used["load"] < cell.window_s
    assert used["agent"] == 0
    assert sum(used.values()) <= cell.busy_s + 0.15  # /proc/stat counts in ticks of 10 ms per CPU and kind
    assert cell.window_s == pytest.approx((cell.window_end_ns - cell.window_start_ns) / 1e9, rel=0.02)
    assert cell.busy_s <= cell.window_s * (os.cpu_count() or 1) * 1.05

    manifest = load(GuestManifest, (out / "manifest.json").read_bytes())
    names = {entry.path for entry in manifest.files}
    assert {"plan.json", "events.jsonl", "facts.json", "cells/01-baseline-mid/cell.json"} <= names
    assert "state.json" not in names
    for entry in manifest.files:
        data = (out / entry.path).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.size, entry.sha256)
    assert [e["seq"] for e in events(out)] == list(range(1, len(events(out)) + 1))
    assert leftovers(artifacts) == []


# The guest half, where showing a sample takes until the load has ended: seen on a host that was short of CPU time.
SHOWS_SLOWLY = """
import runpy, sys, time
from lab.guest.run import cell
def show(context, *_):
    while any(child.role == "load" and child.poll() is None for child in context.children.processes):
        time.sleep(0.01)
cell._tell = show
runpy.run_module("lab.guest", run_name="__main__", alter_sys=True)
"""


def test_the_window_is_sampled_to_its_end_however_long_it_takes_to_show_a_sample(artifacts: Path, out: Path) -> None:
    code, answer = run_guest(plan(artifacts, [baseline(artifacts)]), out, artifacts, program=("-c", SHOWS_SLOWLY))
    assert (code, answer["outcome"]) == (0, "complete")
    cell = cell_of(out, "01-baseline-mid")
    assert cell.completed == 40
    assert cell.window_s == pytest.approx((cell.window_end_ns - cell.window_start_ns) / 1e9, abs=0.01)


def test_counted_cells_of_one_life_hold_whole_requests_between_two_moments_of_rest(artifacts: Path, out: Path) -> None:
    base = plan(artifacts, [baseline(artifacts)], clock="counted")
    first = replace(base.lives[0].cells[0], block=3)
    second = replace(first, id="04-baseline-mid", block=4, seed=9, warmup_requests=0)
    eager = tuple(replace(one, env={**one.env, "GOGC": "10"}) for one in base.service.processes)
    service = replace(base.service, processes=eager)
    value = replace(base, service=service, lives=(replace(base.lives[0], cells=(first, second)),))
    code, answer = run_guest(value, out, artifacts)
    assert (code, answer["outcome"]) == (0, "complete"), answer
    one, other = cell_of(out, first.id), cell_of(out, second.id)
    assert (one.block, other.block) == (3, 4)
    assert one.life == other.life
    assert one.valid, one.reasons
    assert other.valid, other.reasons
    for cell in (one, other):
        with gzip.open(out / "cells" / cell.id / "requests.csv.gz", "rt") as file:
            rows = [(int(r["start_ns"]), int(r["end_ns"])) for r in csv.DictReader(file)]
        assert len(rows) == cell.completed == 40
        assert cell.window_start_ns < min(start for start, _ in rows)
        # until the count of spans has stood still for quiet_s
        assert cell.window_end_ns > max(end for _, end in rows) + int(value.timeouts.quiet_s * 0.8e9)
    assert one.window_end_ns < other.window_start_ns
    said = (out / "lives" / one.life / "shop.log").read_text().count(" MB goal, ")
    assert 0 < one.collections["service"] + other.collections["service"] <= said
    assert "agent" not in one.collections
    usage = next(row for row in one.usage if row.role == "service")
    assert usage.waits is not None
    assert usage.waits >= 40


def test_a_search_ends_a_life_with_the_first_rate_that_is_too_much(artifacts: Path, out: Path, tmp_path: Path) -> None:
    base = plan(artifacts, [baseline(artifacts)], until_saturated=True, rerun_invalid=False)
    (first,) = base.lives[0].cells
    cells = tuple(
        replace(first, id=f"01-baseline-{rate}", level=str(rate), rate_rps=float(rate), requests=rate // 5)
        for rate in (20, 20_000, 30_000)
    )
    value = replace(base, lives=(replace(base.lives[0], cells=cells),))
    code, answer = run_guest(value, out, artifacts)
    assert (code, answer["outcome"], answer["cells"]) == (0, "complete", ["01-baseline-20", "01-baseline-20000"])
    shutil.copytree(out, tmp_path / "fetched" / "guest")
    found = saturation.found(value, read.cells(tmp_path / "fetched"))
    assert found == {"baseline": Saturation(kept_rps=20.0, lost_rps=20_000.0)}
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    assert run_guest(value, out, artifacts)[0] == 0
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == before
    assert leftovers(artifacts) == []


def test_a_second_run_of_a_sealed_plan_changes_nothing(artifacts: Path, out: Path) -> None:
    value = plan(artifacts, [baseline(artifacts)])
    run_guest(value, out, artifacts)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    assert run_guest(value, out, artifacts)[0] == 0
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == before
    code, answer = run_guest(plan(artifacts, [baseline(artifacts)], seed=2), out, artifacts)
    assert code == 2
    assert "another plan" in answer["error"]


@pytest.mark.usefixtures("kernel_fs")
def test_spans_that_an_exporter_holds_back_beyond_the_drain_void_the_cells_spans(
    artifacts: Path, agent: Path, out: Path
) -> None:
    """The proof ends with a batch, so the next one comes long after the cell: with the end of the agent."""
    form = ebpf(artifacts, lockdown())
    assert form.agent is not None
    slow = replace(form, agent=replace(form.agent, env={**form.agent.env, "OTEL_BSP_SCHEDULE_DELAY": "5000"}))
    code, answer = run_guest(plan(artifacts, [slow], requests=20, rerun_invalid=False), out, artifacts)
    assert (code, answer["outcome"]) == (0, "complete"), answer
    cell = cell_of(out, "01-ebpf-mid")
    (gate,) = [one for one in cell.gates if one.name == "spans_still"]
    assert not gate.ok
    assert gate.value >= cell.completed, "at least one span of each request"
    assert not cell.valid


@pytest.mark.usefixtures("kernel_fs")
def test_ebpf_life_gives_every_expected_span(artifacts: Path, agent: Path, out: Path) -> None:
    form = ebpf(artifacts, lockdown())
    code, answer = run_guest(plan(artifacts, [form], requests=80), out, artifacts)
    assert (code, answer["outcome"]) == (0, "complete"), answer

    canary = load(Canary, next((out / "lives").glob("*/canary.json")).read_bytes())
    assert canary.ok
    assert canary.first_span_s is not None
    assert {r.type: dict(r.seen) for r in canary.requests}["browse"] == dict.fromkeys(
        [n.id for n in REFERENCE["browse"]], 1
    )

    cell = cell_of(out, "01-ebpf-mid")
    used = {u.role: u.user_s + u.system_s for u in cell.usage}
    assert used["agent"] > 0.005
    assert cell.attach_s is not None
    assert cell.bpf_run_s is None or 0 < cell.bpf_run_s < used["service"] + used["agent"]
    assert (cell.bpf_runs is None) == (cell.bpf_run_s is None)
    assert cell.bpf_runs is None or cell.bpf_runs >= cell.completed, "each request hits a probe at least"

    folder = out / "cells" / "01-ebpf-mid"
    with gzip.open(folder / "requests.csv.gz", "rt") as file:
        rows = [Row(r["type"], int(r["start_ns"]), int(r["end_ns"]), int(r["status"])) for r in csv.DictReader(file)]
    spans = list(read_spans(folder / "spans.jsonl.gz"))
    counted = tally(spans, rows, REFERENCE, form.expected, window_start_ns=cell.window_start_ns)
    assert counted.extra == {}
    assert counted.missing == ()
    for node in counted.nodes:
        assert (node.received, node.parents_as_expected) == (node.reference_max, node.reference_max), node
    ready = json.loads(next((out / "lives").glob("*/life.json")).read_text())["agents"]
    assert ready[0]["pid"] > 0
