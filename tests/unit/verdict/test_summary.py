"""A made-up run through the whole verdict: what is planted must be found."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from lab.guest.wire import Gates
from lab.model.facts import MachineFacts
from lab.model.run import Request, Run
from lab.model.summary import Summary, Verdict
from lab.model.summary_controls import Controls
from lab.model.summary_form import Cells
from lab.runs.read import read
from lab.system.every_core import every_core
from lab.verdict import grade, summarize
from lab.verdict.cells.recheck import count, disagreements
from tests.unit.report import synthetic


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write(tmp_path_factory.mktemp("run") / "run", invalid="twin")


@pytest.fixture(scope="module")
def run(root: Path) -> Run:
    return read(root)


@pytest.fixture(scope="module")
def summary(run: Run) -> Summary:
    return summarize(run)


def test_on_several_cores_it_is_the_same(run: Run, summary: Summary) -> None:
    assert summarize(run, every_core) == summary


def row(summary: Summary, form: str, against: str, metric: str) -> Verdict:
    found = summary.verdict(form, against, metric)
    assert found
    return found


# --- the planted effects -------------------------------------------------------------------------------------------


def test_planted_costs_are_read_back(summary: Summary) -> None:
    otel = row(summary, "orchestrion-otel", "baseline", "cpu_s_per_1k_requests")
    assert otel.effect_pct == pytest.approx(36, abs=4)
    assert row(summary, "orchestrion-otel", "baseline", "latency_p50_ms").effect_pct == pytest.approx(31, abs=8)
    # the service's own share, the agent's on top: 1.22 * 13.8 ms + 4.2 ms
    ebpf = row(summary, "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert ebpf.effect_pct == pytest.approx((1.22 * 13.8 + 4.2) / 13.9 * 100 - 100, abs=4)
    assert summary.forms["ebpf"].cpu["bpf_run"] < summary.forms["ebpf"].cpu["service_system"]


def test_one_block_is_indicative_and_has_no_interval(summary: Summary) -> None:
    for verdict in summary.verdicts:
        assert (verdict.low_pct, verdict.high_pct, verdict.mde_pct) == (None, None, None)
        assert verdict.word in {"INDICATIVE", "NOT COMPARABLE", "CAN'T TELL"}
        assert (verdict.effect_pct is None) == (verdict.word != "INDICATIVE")
        assert verdict.reasons
    assert summary.fewest_blocks == 8


def test_without_a_primary_level_the_level_with_the_most_blocks_is_shown(summary: Summary) -> None:
    one = replace(row(summary, "ebpf", "baseline", "cpu_s_per_1k_requests"), primary=False)
    levels = (replace(one, level="slow", blocks=1), replace(one, level="fast", blocks=20))
    shown = replace(summary, verdicts=levels).verdict(one.form, one.against, one.metric)
    assert shown == levels[1]
    named = replace(summary, verdicts=(replace(levels[0], primary=True), levels[1]))
    assert named.verdict(one.form, one.against, one.metric) == named.verdicts[0]
    assert summary.verdict("ebpf", "baseline", "unknown") is None


def test_forms_with_unequal_spans_are_not_ranked(summary: Summary) -> None:
    cpu = row(summary, "ebpf", "orchestrion-otel", "cpu_s_per_1k_requests")
    assert (cpu.word, cpu.effect_pct) == ("NOT COMPARABLE", None)
    latency = row(summary, "ebpf", "orchestrion-otel", "latency_p50_ms")
    assert latency.word == "INDICATIVE"
    assert not set(latency.types) & set(latency.unequal)
    assert "fail" in latency.types
    assert "checkout" in latency.unequal


def test_p99_is_too_few_not_a_number(summary: Summary) -> None:
    found = row(summary, "ebpf", "baseline", "latency_p99_ms")
    assert (found.word, found.effect_pct) == ("CAN'T TELL", None)
    assert "too few" in found.reasons[0]
    assert any("p99" in said for said in summary.may_not_claim)


def test_the_twin_is_read_against_the_baseline_alone(summary: Summary) -> None:
    forms = summary.forms
    base, twin = (forms[name].metrics["main"].cpu_s_per_1k_requests for name in ("baseline", "twin"))
    seen = summary.controls.twin["cpu_s_per_1k_requests"].effect_pct
    assert base
    assert twin
    assert seen == pytest.approx((twin / base - 1) * 100)


def test_the_delay_control_is_compared_with_what_it_really_added(summary: Summary) -> None:
    delay = summary.controls.delay_cpu
    plain = [summary.forms[name].metrics["main"].cpu_s_per_1k_requests for name in ("baseline", "twin")]
    assert delay
    assert delay.realised_pct == pytest.approx(2.76 / fmean(value for value in plain if value) * 100)
    assert delay.seen is None
    assert delay.near is True


# --- spans -----------------------------------------------------------------------------------------------------------


def test_whole_trees_score_full(summary: Summary) -> None:
    form = summary.forms["orchestrion-otel"]
    assert form.coverage.ratio == form.conformance.ratio == 1.0
    assert form.coverage.parents_ok == 1.0
    assert form.conformance.missing == ()


def test_known_losses_are_named_by_kind_with_count_and_cause(summary: Summary) -> None:
    form = summary.forms["ebpf"]
    assert form.conformance.ratio == 1.0
    (lost,) = form.conformance.missing
    assert (lost.kind, lost.cause, lost.known) == ("grpc server", synthetic.MAP_FULL, True)
    assert form.coverage.reference == lost.count + (form.coverage.received or 0)
    assert lost.count == lost.of - 50
    assert 0.9 < (form.coverage.parents_ok or 0) < 1.0


def test_forms_without_instrumentation_miss_nothing(summary: Summary) -> None:
    for name in ("baseline", "twin", "delay-cpu"):
        assert summary.forms[name].coverage.received == 0
        assert summary.forms[name].conformance.missing == ()


def test_a_surprising_loss_is_not_excused(root: Path, run: Run, tmp_path: Path) -> None:
    """Drop every tenth span of a form that should give all: conformance falls, and the cause is not known."""
    whole = next(cell for cell in run.cells if cell.cell.form == "orchestrion-otel")
    kept = [span for index, span in enumerate(whole.spans()) if index % 10]
    less = replace(whole, cell=replace(whole.cell, spans_total=len(kept)), spans=lambda: iter(kept))
    cells = tuple(less if cell is whole else cell for cell in run.cells)
    form = summarize(replace(run, cells=cells)).forms["orchestrion-otel"]
    assert form.conformance.ratio
    assert form.conformance.ratio < 0.95
    assert all(entry.known is False for entry in form.conformance.missing)
    lost = sum(entry.count for entry in form.conformance.missing)
    assert form.coverage.reference == lost + (form.coverage.received or 0)


def test_waterfalls_show_each_reference_span_or_its_gap(summary: Summary) -> None:
    checkout = {trace.form: trace for trace in summary.traces if trace.type == "checkout"}
    assert checkout["orchestrion-otel"].received == checkout["orchestrion-otel"].reference == 10
    missing = [node.match for node in checkout["ebpf"].rows if node.missing]
    assert missing == ["shop.Pricing/Quote", "shop.Orders/Place"]
    assert [r.node for r in checkout["ebpf"].rows] == [r.node for r in checkout["baseline"].rows]
    assert checkout["baseline"].received == 0


# --- validity --------------------------------------------------------------------------------------------------------


def test_an_invalid_attempt_is_kept_and_told(summary: Summary) -> None:
    usable = dict.fromkeys(("spans", "cpu", "memory", "latency"), 6)
    assert summary.cells == Cells(planned=6, valid=6, usable=usable, invalid=1, attempts=7, invalid_share=1 / 7)
    bad = [cell for cell in summary.timeline if not cell.valid]
    assert [cell.form for cell in bad] == ["twin"]
    assert bad[0].window_s == pytest.approx(bad[0].end_s - bad[0].start_s)
    assert bad[0].missed[0].gate == "late"
    assert list(bad[0].void) == ["latency"]
    assert summary.problems == ()


def test_a_form_without_a_valid_cell_is_invalid(run: Run) -> None:
    cells = tuple(replace(c, cell=replace(c.cell, valid=False)) if c.cell.form == "ebpf" else c for c in run.cells)
    found = row(summarize(replace(run, cells=cells)), "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert (found.word, found.effect_pct) == ("INVALID", None)


def test_without_a_baseline_there_is_no_effect(run: Run) -> None:
    cells = tuple(cell for cell in run.cells if cell.cell.form in {"ebpf", "orchestrion-otel"})
    summary = summarize(replace(run, cells=cells))
    assert {r.word for r in summary.verdicts if r.against == "baseline"} == {"INVALID"}
    assert "the size of the noise: no cell of twin finished" in summary.may_not_claim
    assert replace(summary.controls, absent={}) == Controls(twin={})
    none = {"twin": "no cell of twin finished", "cpu": "no cell of delay-cpu finished"}
    assert {name: why["cpu_s_per_1k_requests"] for name, why in summary.controls.absent.items() if name in none} == none
    first = row(summary, "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert first.reasons[0] == "no cell of baseline finished"


def test_a_form_without_a_valid_cell_says_what_was_missed(run: Run) -> None:
    late = "late: 0.1261, limit 0.01 (807 of 6400 sends left late)"
    cells = tuple(
        replace(c, cell=replace(c.cell, valid=False, reasons=(late,))) if c.cell.form == "ebpf" else c
        for c in run.cells
    )
    summary = summarize(replace(run, cells=cells))
    for against in ("baseline", "orchestrion-otel"):
        found = row(summary, "ebpf", against, "cpu_s_per_1k_requests")
        assert (found.word, found.reasons[0]) == ("INVALID", f"no valid cell of ebpf ({late})")
    assert any(late in line.text for line in summary.lines)


def test_a_guest_that_contradicts_its_own_rows_is_told(run: Run) -> None:
    liar = tuple(replace(c, cell=replace(c.cell, completed=999)) if c.cell.form == "ebpf" else c for c in run.cells)
    problems = summarize(replace(run, cells=liar)).problems
    assert any("the guest reports 999" in said for said in problems)


def test_recount_from_rows() -> None:
    specs = synthetic.plan().requests
    rows = [
        Request(0, 0, 10_000_000, 200, "browse", "a", ""),
        Request(0, 2_000_000, 10_000_000, 200, "browse", "b", ""),  # late
        Request(0, 0, 10_000_000, 503, "browse", "c", ""),  # answered, not as asked
        Request(0, 0, 10_000_000, 0, "browse", "d", ""),  # never answered
    ]
    counts = count(rows, specs)
    assert (counts.rows, counts.completed, counts.late, counts.unexpected) == (4, 3, 1, 2)


def test_a_valid_cell_with_a_missed_hard_gate_is_a_disagreement(run: Run) -> None:
    bad = next(c for c in run.cells if not c.cell.valid)
    rows = count(bad.requests(), run.plan.requests)
    said = disagreements(replace(bad.cell, valid=True), rows, {}, Gates())
    assert said[-1] == "marked valid although a hard gate was missed"


def test_unreadable_raw_data_is_no_evidence(root: Path, tmp_path: Path) -> None:
    copy = synthetic.write(tmp_path / "run")
    torn = next((copy / "guest/cells").glob("*ebpf*")) / "spans.jsonl.gz"
    torn.write_bytes(torn.read_bytes()[:-40])
    summary = summarize(read(synthetic.seal(copy)))
    assert summary.forms["ebpf"].cells.valid == 0
    assert any("raw data cannot be read" in said for said in summary.problems)


# --- grade -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("acceleration", "provider", "facts", "steal", "word"),
    [
        ("tcg", "qemu", {}, 0.0, "emulated"),
        ("kvm", "qemu", {}, 0.0, "limited"),
        ("kvm", "qemu", {}, 9.0, "noisy"),
        ("none", "local", {"virtualisation": "none (Dell Inc.)", "emulated": False}, 0.0, "ready"),
        ("none", "local", {"virtualisation": "unknown hypervisor"}, 0.0, "limited"),
        ("none", "local", {}, 0.0, "limited"),
        ("none", "ssh", {"virtualisation": "QEMU", "emulated": True}, 0.0, "emulated"),
    ],
)
def test_the_grade(run: Run, acceleration: str, provider: str, facts: dict[str, Any], steal: float, word: str) -> None:
    manifest = replace(run.manifest, acceleration=acceleration, provider=provider)
    cells = [replace(c.cell, steal_s=steal) for c in run.cells]
    found = grade(manifest, MachineFacts.of(facts), cells)
    assert found.word == word
    assert found.reasons


# --- the document ----------------------------------------------------------------------------------------------------


def test_the_same_run_gives_the_same_summary(root: Path, summary: Summary) -> None:
    assert summarize(read(root)) == summary


def test_every_pillar_says_something(summary: Summary) -> None:
    assert len(summary.pillars) == 8
    for pillar in summary.pillars:
        assert pillar.measured
        assert bool(pillar.evidence) == (pillar.measured != "not measured")


def test_evidence_exists(root: Path, summary: Summary) -> None:
    files = {path for row in summary.verdicts for path in row.evidence}
    files |= {path for pillar in summary.pillars for path in pillar.evidence}
    files |= {trace.evidence for trace in summary.traces} | {cell.evidence for cell in summary.timeline}
    assert files
    assert [path for path in sorted(files) if not (root / path).is_file()] == []


def test_the_lines_can_be_read_aloud(summary: Summary) -> None:
    (otel,) = [line for line in summary.lines if line.form == "orchestrion-otel"]
    assert re.fullmatch(
        r"CPU per request \+\d+ %; median latency \+\d+ %; every reference span of 240 requests\.", otel.text
    )
