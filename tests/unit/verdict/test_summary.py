"""A made-up run through the whole verdict: what is planted must be found."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.guest.wire import Gates
from lab.model.run import Request, Run
from lab.runs.read import read
from lab.verdict import grade, summarize
from lab.verdict.recheck import count, disagreements
from lab.verdict.saturation import queue
from tests.unit.report import synthetic


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write(tmp_path_factory.mktemp("run") / "run", invalid="twin")


@pytest.fixture(scope="module")
def run(root: Path) -> Run:
    return read(root)


@pytest.fixture(scope="module")
def summary(run: Run) -> dict[str, Any]:
    return summarize(run)


def row(summary: dict[str, Any], form: str, against: str, metric: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = summary["verdicts"]
    return next(r for r in found if (r["form"], r["against"], r["metric"]) == (form, against, metric))


# --- the planted effects -------------------------------------------------------------------------------------------


def test_planted_costs_are_read_back(summary: dict[str, Any]) -> None:
    otel = row(summary, "orchestrion-otel", "baseline", "cpu_s_per_1k_requests")
    assert otel["effect_pct"] == pytest.approx(36, abs=4)
    assert row(summary, "orchestrion-otel", "baseline", "latency_p50_ms")["effect_pct"] == pytest.approx(31, abs=8)
    # the service's own share, the agent's on top: 1.22 * 13.8 ms + 4.2 ms
    ebpf = row(summary, "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert ebpf["effect_pct"] == pytest.approx((1.22 * 13.8 + 4.2) / 13.9 * 100 - 100, abs=4)
    assert summary["forms"]["ebpf"]["cpu"]["bpf_run"] < summary["forms"]["ebpf"]["cpu"]["service_system"]


def test_one_block_is_indicative_and_has_no_interval(summary: dict[str, Any]) -> None:
    for verdict in summary["verdicts"]:
        assert (verdict["low_pct"], verdict["high_pct"], verdict["mde_pct"]) == (None, None, None)
        assert verdict["word"] in {"INDICATIVE", "NOT COMPARABLE", "CAN'T TELL"}
        assert (verdict["effect_pct"] is None) == (verdict["word"] != "INDICATIVE")
        assert verdict["reasons"]
    assert summary["fewest_blocks"] == 8


def test_forms_with_unequal_spans_are_not_ranked(summary: dict[str, Any]) -> None:
    cpu = row(summary, "ebpf", "orchestrion-otel", "cpu_s_per_1k_requests")
    assert (cpu["word"], cpu["effect_pct"]) == ("NOT COMPARABLE", None)
    latency = row(summary, "ebpf", "orchestrion-otel", "latency_p50_ms")
    assert latency["word"] == "INDICATIVE"
    assert not set(latency["types"]) & set(latency["unequal"])
    assert "fail" in latency["types"]
    assert "checkout" in latency["unequal"]


def test_p99_is_too_few_not_a_number(summary: dict[str, Any]) -> None:
    found = row(summary, "ebpf", "baseline", "latency_p99_ms")
    assert (found["word"], found["effect_pct"]) == ("CAN'T TELL", None)
    assert "too few" in found["reasons"][0]
    assert any("p99" in said for said in summary["may_not_claim"])


def test_the_twin_is_read_against_the_baseline_alone(summary: dict[str, Any]) -> None:
    forms = summary["forms"]
    base, twin = (forms[name]["metrics"]["main"]["cpu_s_per_1k_requests"] for name in ("baseline", "twin"))
    seen = summary["controls"]["twin"]["cpu_s_per_1k_requests"]["effect_pct"]
    assert seen == pytest.approx((twin / base - 1) * 100)


def test_the_delay_control_is_compared_with_what_it_really_added(summary: dict[str, Any]) -> None:
    delay = summary["controls"]["delay_cpu"]
    base = summary["forms"]["baseline"]["metrics"]["main"]["cpu_s_per_1k_requests"]
    assert delay["realised_pct"] == pytest.approx(2.76 / base * 100)
    assert delay["seen"] is None
    assert delay["near"] is True


# --- spans -----------------------------------------------------------------------------------------------------------


def test_whole_trees_score_full(summary: dict[str, Any]) -> None:
    form = summary["forms"]["orchestrion-otel"]
    assert form["coverage"]["ratio"] == form["conformance"]["ratio"] == 1.0
    assert form["coverage"]["parents_ok"] == 1.0
    assert form["conformance"]["missing"] == []


def test_known_losses_are_named_by_kind_with_count_and_cause(summary: dict[str, Any]) -> None:
    form = summary["forms"]["ebpf"]
    assert form["conformance"]["ratio"] == 1.0
    (lost,) = form["conformance"]["missing"]
    assert (lost["kind"], lost["cause"], lost["known"]) == ("grpc server", synthetic.MAP_FULL, True)
    assert lost["count"] == form["coverage"]["reference"] - form["coverage"]["received"] == lost["of"] - 50
    assert 0.9 < form["coverage"]["parents_ok"] < 1.0


def test_forms_without_instrumentation_miss_nothing(summary: dict[str, Any]) -> None:
    for name in ("baseline", "twin", "delay-cpu"):
        assert summary["forms"][name]["coverage"]["received"] == 0
        assert summary["forms"][name]["conformance"]["missing"] == []


def test_a_surprising_loss_is_not_excused(root: Path, run: Run, tmp_path: Path) -> None:
    """Drop every tenth span of a form that should give all: conformance falls, and the cause is not known."""
    whole = next(cell for cell in run.cells if cell.cell.form == "orchestrion-otel")
    kept = [span for index, span in enumerate(whole.spans()) if index % 10]
    cells = tuple(replace(cell, spans=lambda: iter(kept)) if cell is whole else cell for cell in run.cells)
    form = summarize(replace(run, cells=cells))["forms"]["orchestrion-otel"]
    assert form["conformance"]["ratio"] < 0.95
    assert all(entry["known"] is False for entry in form["conformance"]["missing"])
    lost = sum(entry["count"] for entry in form["conformance"]["missing"])
    assert lost == form["coverage"]["reference"] - form["coverage"]["received"]


def test_waterfalls_show_each_reference_span_or_its_gap(summary: dict[str, Any]) -> None:
    checkout = {trace["form"]: trace for trace in summary["traces"] if trace["type"] == "checkout"}
    assert checkout["orchestrion-otel"]["received"] == checkout["orchestrion-otel"]["reference"] == 10
    missing = [node["match"] for node in checkout["ebpf"]["rows"] if node["missing"]]
    assert missing == ["shop.Pricing/Quote", "shop.Orders/Place"]
    assert [r["node"] for r in checkout["ebpf"]["rows"]] == [r["node"] for r in checkout["baseline"]["rows"]]
    assert checkout["baseline"]["received"] == 0


# --- validity --------------------------------------------------------------------------------------------------------


def test_an_invalid_attempt_is_kept_and_told(summary: dict[str, Any]) -> None:
    assert summary["cells"] == {"planned": 6, "valid": 6, "invalid": 1, "attempts": 7}
    bad = [cell for cell in summary["timeline"] if not cell["valid"]]
    assert [cell["form"] for cell in bad] == ["twin"]
    assert bad[0]["missed"][0]["gate"] == "late"
    assert summary["problems"] == []


def test_a_form_without_a_valid_cell_is_invalid(run: Run) -> None:
    cells = tuple(replace(c, cell=replace(c.cell, valid=False)) if c.cell.form == "ebpf" else c for c in run.cells)
    found = row(summarize(replace(run, cells=cells)), "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert (found["word"], found["effect_pct"]) == ("INVALID", None)


def test_without_a_baseline_there_is_no_effect(run: Run) -> None:
    cells = tuple(cell for cell in run.cells if cell.cell.form in {"ebpf", "orchestrion-otel"})
    summary = summarize(replace(run, cells=cells))
    assert {r["word"] for r in summary["verdicts"] if r["against"] == "baseline"} == {"INVALID"}
    assert "how large the noise is: no twin ran" in summary["may_not_claim"]
    assert summary["controls"] == {}


def test_losing_more_cells_than_the_other_side_is_biased(tmp_path: Path) -> None:
    run = read(synthetic.write(tmp_path / "run", blocks=3, requests=60))
    cells = tuple(
        replace(c, cell=replace(c.cell, valid=False)) if c.cell.form == "ebpf" and c.cell.block < 3 else c
        for c in run.cells
    )
    found = row(summarize(replace(run, cells=cells)), "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert found["word"] == "BIASED"
    assert "2 of 3 cells of ebpf were INVALID" in found["reasons"][0]
    assert row(summarize(run), "ebpf", "baseline", "cpu_s_per_1k_requests")["blocks"] == 3


def test_a_guest_that_contradicts_its_own_rows_is_told(run: Run) -> None:
    liar = tuple(replace(c, cell=replace(c.cell, completed=999)) if c.cell.form == "ebpf" else c for c in run.cells)
    problems = summarize(replace(run, cells=liar))["problems"]
    assert any("the guest says 999" in said for said in problems)


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
    assert said == ["called valid although a hard gate was missed"]


def test_unreadable_raw_data_is_no_evidence(root: Path, tmp_path: Path) -> None:
    copy = synthetic.write(tmp_path / "run")
    torn = next((copy / "guest/cells").glob("*ebpf*")) / "spans.jsonl.gz"
    torn.write_bytes(torn.read_bytes()[:-40])
    summary = summarize(read(copy))
    assert summary["forms"]["ebpf"]["cells"]["valid"] == 0
    assert any("raw data cannot be read" in said for said in summary["problems"])


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
    found = grade(manifest, facts, cells)
    assert found.word == word
    assert found.reasons


# --- the document ----------------------------------------------------------------------------------------------------


def test_the_same_run_gives_the_same_summary(root: Path, summary: dict[str, Any]) -> None:
    assert summarize(read(root)) == summary


def test_every_pillar_says_something(summary: dict[str, Any]) -> None:
    assert len(summary["pillars"]) == 8
    for pillar in summary["pillars"]:
        assert pillar["measured"]
        assert bool(pillar["evidence"]) == (pillar["measured"] != "not measured")


def test_evidence_exists(root: Path, summary: dict[str, Any]) -> None:
    files = {path for row in summary["verdicts"] for path in row["evidence"]}
    files |= {path for pillar in summary["pillars"] for path in pillar["evidence"]}
    files |= {trace["evidence"] for trace in summary["traces"]} | {cell["evidence"] for cell in summary["timeline"]}
    assert files
    assert [path for path in sorted(files) if not (root / path).is_file()] == []


def test_the_lines_can_be_read_aloud(summary: dict[str, Any]) -> None:
    (otel,) = [line for line in summary["lines"] if line["form"] == "orchestrion-otel"]
    assert re.fullmatch(r"CPU per request \+\d+ %; median latency \+\d+ %; every reference span\.", otel["text"])


# --- doubt, load, clocks ---------------------------------------------------------------------------------------------


def test_an_instrumented_form_cheaper_than_the_baseline_is_doubted_everywhere(tmp_path: Path) -> None:
    forms = {**synthetic.FORMS, "orchestrion-otel": replace(synthetic.FORMS["orchestrion-otel"], cpu=0.7)}
    summary = summarize(read(synthetic.write(tmp_path / "run", requests=120, forms=forms)))
    found = row(summary, "orchestrion-otel", "baseline", "cpu_s_per_1k_requests")
    assert (found["word"], found["reasons"][0].partition(":")[0]) == ("INDICATIVE", "IMPLAUSIBLE")
    (line,) = [one for one in summary["lines"] if (one["form"], one["against"]) == ("orchestrion-otel", "baseline")]
    assert "IMPLAUSIBLE" in line["text"]
    assert any(said.startswith("that orchestrion-otel saves CPU: IMPLAUSIBLE") for said in summary["may_not_claim"])
    others = [r for r in summary["verdicts"] if r["form"] != "orchestrion-otel" or r["against"] != "baseline"]
    assert not [r for r in others if any("IMPLAUSIBLE" in reason for reason in r["reasons"])]


def overloaded(rows: list[Request], took_ms: float) -> list[Request]:
    """The same requests at a service that answers one after the other, each in `took_ms`."""
    free, out = 0, []
    for one in sorted(rows, key=lambda r: r.intended_ns):
        free = max(free, one.intended_ns) + int(took_ms * 1e6)
        out.append(one._replace(end_ns=free))
    return out


def test_a_form_that_falls_behind_is_saturated(run: Run) -> None:
    def busy(cell: Any) -> Any:
        rows = overloaded(list(cell.requests()), took_ms=1300 / cell.cell.rate_rps)
        return replace(cell, requests=lambda: iter(rows))

    cells = tuple(busy(c) if c.cell.form == "ebpf" else c for c in run.cells)
    summary = summarize(replace(run, cells=cells))
    found = row(summary, "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert found["word"] == "SATURATED"
    assert found["reasons"][0].startswith("ebpf could not carry this load")
    assert found["effect_pct"] is not None
    assert row(summary, "orchestrion-otel", "baseline", "cpu_s_per_1k_requests")["word"] == "INDICATIVE"
    assert [cell["form"] for cell in summary["timeline"] if cell["saturated"]] == ["ebpf"]
    assert [cell["valid"] for cell in summary["timeline"] if cell["saturated"]] == [True]


def test_slow_answers_and_pauses_are_no_saturation() -> None:
    calm = [Request(i * 10**8, i * 10**8, i * 10**8 + 3 * 10**8, 200, "get", "", "") for i in range(200)]
    assert not queue(calm).grew  # type: ignore[union-attr]
    assert queue(calm).mean == pytest.approx((3, 3, 3, 3), rel=0.1)  # type: ignore[union-attr]
    stood = [r._replace(end_ns=max(r.end_ns, 12 * 10**9)) if r.start_ns > 9 * 10**9 else r for r in calm]
    assert not queue(stood).grew  # type: ignore[union-attr]
    assert queue(overloaded(calm, 110)).grew  # type: ignore[union-attr]
    assert not queue(overloaded(calm, 99)).grew  # type: ignore[union-attr]
    assert queue(calm[:19]) is None


def test_a_clock_shift_that_was_undone_is_told(run: Run) -> None:
    early = 120_000_000  # more than any request lasts before its first span

    def shifted(cell: Any) -> Any:
        spans = [replace(s, start_ns=s.start_ns - early, end_ns=s.end_ns - early) for s in cell.spans()]
        return replace(cell, spans=lambda: iter(spans))

    cells = tuple(shifted(c) if c.cell.form == "orchestrion-otel" else c for c in run.cells)
    forms = summarize(replace(run, cells=cells))["forms"]
    shift = forms["orchestrion-otel"]["clock_shift"]
    assert (shift["cells"], shift["max_ms"]) == (1, pytest.approx(early / 1e6, rel=0.2))
    assert shift["evidence"] == ["guest/cells/1-orchestrion-otel-main/spans.jsonl.gz"]
    assert forms["ebpf"]["clock_shift"] == {"cells": 0, "max_ms": 0.0, "evidence": []}


def test_the_safety_pillar_shows_what_a_build_brings_in(run: Run) -> None:
    def safety(run: Run) -> dict[str, dict[str, Any]]:
        return {row["mechanism"]: row for row in summarize(run)["pillars"] if row["pillar"] == "safety"}

    woven = safety(run)["compile-time"]
    assert woven["measured"] == (
        "orchestrion-otel: 21 more modules have code in the program; "
        "orchestrion-otel: code was put into 5 source files or more"
    )
    assert (woven["evidence"], woven["confidence"]) == (["manifest.json"], "one observation")
    assert "ebpf: the program itself is the untouched one" in safety(run)["run-time"]["measured"]
    bare = tuple(replace(form, modules_added=None, files_changed=None) for form in run.manifest.forms)
    unknown = safety(replace(run, manifest=replace(run.manifest, forms=bare)))
    assert unknown["compile-time"]["measured"] == "not measured"
    assert "untouched" not in unknown["run-time"]["measured"]
