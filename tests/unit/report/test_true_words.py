"""No sentence of a report, of a terminal line or of JUnit says more than was counted: nothing stands in for nothing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import report
from lab.flows.report import write
from lab.model.facts import MachineFacts
from lab.model.run import Run
from lab.model.summary import Summary
from lab.report import overhead
from lab.runs.read import read
from lab.verdict import summarize
from tests.support import lab_at
from tests.unit.report import synthetic
from tests.unit.report.test_report import parsed, section_of
from tests.unit.verdict.test_validity import LATE, MISSED, missing, strangers, unproven

# What only a run that counted something may say.
CLAIMS = (
    "nothing is missing",
    "every reference span",
    "100 %",
    "no shift was corrected",
    "no shift corrected",
    "no spans, as expected",
    "are noise",
    "0 / 0",
    "no steal",
    "no span was measured",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return read(synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=80))


def everything(summary: Summary) -> dict[str, str]:
    page = " ".join(parsed(report.html(summary)).words)
    page = re.sub(r"\b0 % 50 % 90 % 100 %|0 / 1 100 %", "", page)  # an axis; the share of INVALID attempts
    lines = "\n".join(line.text for line in summary.lines)
    return {"html": page, "markdown": report.markdown(summary), "junit": report.junit(summary), "lines": lines}


def claimed(said: dict[str, str]) -> list[tuple[str, str]]:
    return [(where, claim) for where, text in said.items() for claim in CLAIMS if claim in text]


def test_a_run_in_which_nothing_ran_claims_nothing(run: Run) -> None:
    said = everything(summarize(replace(run, cells=(), canaries=(), records=())))
    assert claimed(said) == []
    assert "no cell of ebpf finished" in said["html"]
    bare = replace(run, cells=(), machine=MachineFacts(), manifest=replace(run.manifest, acceleration="none"))
    assert "the stability of the machine is unknown" in str(summarize(bare).grade)


def test_a_run_in_which_every_cell_had_another_binary_claims_nothing(run: Run) -> None:
    summary = summarize(replace(missing(run, MISSED["build_id"]), canaries=()))
    said = everything(summary)
    assert claimed(said) == []
    for text in (said["html"], said["markdown"], said["junit"], said["lines"]):
        assert "answers of another build than b1" in text
    assert not [e for e in ET.fromstring(said["junit"]).iter("testcase") if _passed(e, "spans")]


def _passed(case: ET.Element, suite: str) -> bool:
    return case.get("classname") == suite and case.find("skipped") is None and case.find("failure") is None


def test_late_voids_spans_in_no_report(run: Run) -> None:
    said = everything(summarize(missing(run, LATE)))
    assert "0 of 6 cells valid in everything (spans 6, CPU 6, memory 6, latency 0)" in said["html"]
    assert "0 of 6 cells valid in everything (spans 6, CPU 6, memory 6, latency 0)" in said["markdown"]
    assert "nothing is missing: all" in said["html"], "of orchestrion-otel, whose spans were all counted"
    assert "INVALID" not in section_of(report.html(summarize(missing(run, LATE))), "timeline")
    spans = ET.fromstring(said["junit"]).findall("./testsuite[@name='spans']/testcase")
    assert [case.get("name") for case in spans if _passed(case, "spans")] == [
        "orchestrion-otel: conformance",
        "orchestrion-otel: parents",
        "ebpf: conformance",
        "ebpf: parents",
    ]


def test_no_context_a_failed_proof_says_why_in_every_report(run: Run) -> None:
    summary = summarize(unproven(run, "ebpf", "orchestrion-otel"))
    said, why = everything(summary), "no span arrived for any of 3 requests"
    assert [found for found in claimed(said) if found[1] not in {"no spans, as expected", "are noise"}] == []
    for where, text in said.items():
        assert why in text, where
    first = section_of(report.html(summary), "verdict").partition('class="card"')[0]
    assert f"ebpf: proof FAILED: {why}" in first, "before any figure"
    proofs = ET.fromstring(said["junit"]).findall("./testsuite[@name='proofs']/testcase")
    failed = {case.get("name"): case.find("failure") for case in proofs}
    assert [name for name, failure in failed.items() if failure is not None] == ["orchestrion-otel", "ebpf"]
    assert str(failed["ebpf"].get("message")) == f"proof FAILED: {why}"  # type: ignore[union-attr]  # found above


def test_a_long_reason_is_whole_in_every_report(run: Run) -> None:
    """The line of a form holds what is valid first; the reason of the rest stood at its end and was cut off."""
    why = "shop exited with code 2: " + "panic: runtime error, " * 12 + "at main.go:17"
    gate = replace(LATE, said=why)
    for where, text in everything(summarize(missing(run, gate))).items():
        assert "at main.go:17" in text, where


def test_an_instrumented_form_without_a_span_is_not_called_as_it_should_be(run: Run) -> None:
    bare = replace(run, canaries=tuple(_silent(c) if c.canary.form == "ebpf" else c for c in run.canaries))
    part = section_of(report.html(summarize(bare)), "waterfalls")
    assert part.count("no spans received") == 3, "one for each request type"
    missing_rows = part.count('class="missing"')
    assert missing_rows >= 4 + 6 + 10, "and every reference span is shown as missing"


def _silent(proof: Any) -> Any:
    requests = tuple(replace(request, spans=(), seen={}) for request in proof.canary.requests)
    return replace(proof, canary=replace(proof.canary, requests=requests))


def test_no_context_a_strangers_gap_is_told_by_name_and_count_and_fails_nothing(run: Run) -> None:
    summary = summarize(strangers(run))
    said = everything(summary)
    (sql,) = summary.forms["orchestrion-otel"].coverage.misplaced
    words = " ".join(parsed(section_of(report.html(summary), "spans")).words)
    assert f"{sql.count:,} of {sql.of:,}, {sql.roots:,} as root of a separate trace" in words
    assert "no expectation for this form on this service" in words
    assert f"sql client {sql.count:,} misplaced" in said["markdown"]
    cases = ET.fromstring(said["junit"]).findall("./testsuite[@name='spans']/testcase")
    (case,) = [case for case in cases if str(case.get("name")).startswith("orchestrion-otel")]
    assert case.find("failure") is None
    assert f"{sql.count} of {sql.of} sql client misplaced" in str(case.findtext("system-out"))


def test_report_no_digest_a_problem_of_the_run_stands_before_every_figure(run: Run, tmp_path: Path) -> None:
    problem = "guest/cells/1-ebpf-main/cell.json is not the file that manifest.json names"
    summary = summarize(replace(run, problems=(problem,)))
    assert problem in section_of(report.html(summary), "verdict").partition('class="card"')[0]
    text = report.markdown(summary)
    assert text.index(problem) < text.index("CPU per request")
    failed = ET.fromstring(report.junit(summary)).findall("./testsuite[@name='run']//failure")
    assert [failure.get("message") for failure in failed] == [problem]
    # and on the screen: what was sealed torn is a problem that the reader tells
    root = synthetic.write(tmp_path / "run", requests=40)
    (root / "guest/facts.json").write_text("{")
    synthetic.seal(root)
    lines = write(lab_at(tmp_path / "home"), root).lines
    assert lines[0].startswith("problem of the run: ")
    assert "facts.json" in lines[0]


# --- drawn -----------------------------------------------------------------------------------------------------------


def test_a_wide_noise_band_stays_within_its_plot(run: Run) -> None:
    """The twin of a busy host read +87 % CPU and +233 % latency: the band once ran over labels and figures."""
    summary, far = summarize(run), {"cpu_s_per_1k_requests": 87.0, "latency_p50_ms": 233.0, "latency_p90_ms": -412.0}
    wide = {m: replace(e, effect_pct=far.get(m, e.effect_pct)) for m, e in summary.controls.twin.items()}
    summary = replace(summary, controls=replace(summary.controls, twin=wide))
    found = re.search(r"<svg.*?</svg>", section_of(report.html(summary), "overhead"), re.DOTALL)
    assert found is not None
    drawing = ET.fromstring(found[0])
    bands = [box for box in drawing.iter("rect") if box.get("class") == "band"]
    assert len(bands) == len(overhead.metrics(summary))
    width = float(str(drawing.get("viewBox")).split()[2])
    texts = [_extent(text) for text in drawing.iter("text") if text.get("class") in {"name", "value", "value dim"}]
    for index, band in enumerate(bands):
        x0 = overhead.NAMES_W + overhead.GAP + index * (overhead.PANEL_W + overhead.GAP)
        left = float(str(band.get("x")))
        right = left + float(str(band.get("width")))
        assert x0 - 0.01 <= left <= right <= x0 + overhead.PANEL_W - overhead.VALUE_W + 0.01
        assert not [text for text in texts if text[0] < right and left < text[1]], (
            "no label and no figure lies under it"
        )
    ticks = [_extent(text) for text in drawing.iter("text") if text.get("class") == "tick"]
    assert len(ticks) >= 2 * len(bands)
    assert not [1 for one in ticks for other in ticks if one[0] < other[0] < one[1]], "figures of the axis stay apart"
    for shape in (*drawing.iter("line"), *drawing.iter("circle")):
        for key in ("x1", "x2", "cx"):
            assert 0 <= float(shape.get(key) or 0) <= width


def _extent(text: ET.Element) -> tuple[float, float]:
    """Left and right end, by a generous width of a character (13 px bold figures, 11.5 px monospaced names)."""
    x, wide = float(str(text.get("x"))), 7.0 * len(text.text or "")
    shift = {"end": wide, "middle": wide / 2}.get(str(text.get("text-anchor")), 0.0)
    return x - shift, x - shift + wide


def test_a_counted_run_calls_the_machines_time_simulated_wherever_it_stands(run: Run) -> None:
    timed = summarize(run)
    assert any(row.measured.count("attached in 4.6 s") for row in timed.pillars)
    counted = replace(run, plan=replace(run.plan, clock="counted"), machine=replace(run.machine, instruction_ns=2.0))
    summary = summarize(counted)
    performance = next(row.measured for row in summary.pillars if "attached in" in row.measured)
    assert "attached in simulated 4.6 s" in performance
    page = report.html(summary)
    assert "attached in (simulated)" in page
    assert "first span after (simulated)" in page
    for part in ("timeline", "waterfalls", "latency"):
        assert "simulated, by the counted clock" in section_of(page, part).lower() or part == "latency"
    assert "simulated" not in report.html(timed)


def test_every_report_tells_that_a_run_ended_failed(run: Run) -> None:
    life = max(one.cell.id for one in run.cells)
    lost = replace(run, cells=tuple(one for one in run.cells if one.cell.id != life), outcome="failed")
    said = everything(summarize(lost))
    for where in ("html", "markdown", "junit"):
        assert "the run ended failed: 1 cell did not run" in said[where], where
    assert "ended failed" not in str(everything(summarize(run)))


def test_a_claim_without_a_figure_is_not_called_no_effect(tmp_path: Path) -> None:
    summary = summarize(read(synthetic.write(tmp_path / "run", requests=4)))
    assert any(row.effect_pct is None for row in summary.verdicts)
    said = [case.findtext("system-out", "") for case in ET.fromstring(report.junit(summary)).iter("testcase")]
    assert not [text for text in said if "no effect" in text]
    assert any(": no figure; " in text for text in said)


@pytest.mark.parametrize(
    ("gone", "against"),
    [
        ((), "against the mean of baseline and twin; of the twin, against the baseline alone."),
        (("twin",), "against the baseline."),
        (("baseline", "twin"), "No form is without instrumentation."),
    ],
)
def test_the_figure_of_costs_names_what_this_run_compares_with(
    tmp_path: Path, gone: tuple[str, ...], against: str
) -> None:
    whole = summarize(read(synthetic.write(tmp_path / "run", requests=30)))
    some = replace(whole, forms={name: form for name, form in whole.forms.items() if name not in gone})
    (lead,) = re.findall(r"<p[^>]*>((?:Change in|No form is)[^<]*)", str(overhead.section(some)))
    assert against in lead
    assert ("mean of baseline" in lead) == (not gone)
