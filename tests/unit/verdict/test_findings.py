"""What a run says beside its figures: doubt, too much load, clocks that were put right, what a build brings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.model.run import Request, Run
from lab.model.summary import PillarClaim
from lab.model.summary_form import ClockShift
from lab.runs.read import read
from lab.verdict import summarize
from lab.verdict.saturation import queue
from tests.unit.report import synthetic
from tests.unit.verdict.test_summary import row


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return read(synthetic.write(tmp_path_factory.mktemp("run") / "run", invalid="twin"))


def test_an_instrumented_form_cheaper_than_the_baseline_is_doubted_everywhere(tmp_path: Path) -> None:
    forms = {**synthetic.FORMS, "orchestrion-otel": replace(synthetic.FORMS["orchestrion-otel"], cpu=0.7)}
    summary = summarize(read(synthetic.write(tmp_path / "run", requests=120, forms=forms)))
    found = row(summary, "orchestrion-otel", "baseline", "cpu_s_per_1k_requests")
    assert (found.word, found.reasons[0].partition(":")[0]) == ("INDICATIVE", "IMPLAUSIBLE")
    (line,) = [one for one in summary.lines if (one.form, one.against) == ("orchestrion-otel", "baseline")]
    assert "IMPLAUSIBLE" in line.text
    assert any(said.startswith("that orchestrion-otel saves CPU: IMPLAUSIBLE") for said in summary.may_not_claim)
    others = [r for r in summary.verdicts if r.form != "orchestrion-otel" or r.against != "baseline"]
    assert not [r for r in others if any("IMPLAUSIBLE" in reason for reason in r.reasons)]


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
    assert found.word == "SATURATED"
    assert found.reasons[0].startswith("ebpf did not sustain this load")
    assert found.effect_pct is not None
    assert row(summary, "orchestrion-otel", "baseline", "cpu_s_per_1k_requests").word == "INDICATIVE"
    assert [cell.form for cell in summary.timeline if cell.saturated] == ["ebpf"]
    assert [cell.valid for cell in summary.timeline if cell.saturated] == [True]


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
    forms = summarize(replace(run, cells=cells)).forms
    shift = forms["orchestrion-otel"].clock_shift
    assert shift.max_ms == pytest.approx(early / 1e6, rel=0.2)
    assert (shift.cells, shift.evidence) == (1, ("guest/cells/1-orchestrion-otel-main/spans.jsonl.gz",))
    assert forms["ebpf"].clock_shift == ClockShift(cells=0, max_ms=0.0, evidence=())


def test_the_safety_pillar_shows_what_a_build_brings_in(run: Run) -> None:
    def safety(run: Run) -> dict[str, PillarClaim]:
        return {row.mechanism: row for row in summarize(run).pillars if row.pillar == "safety"}

    woven = safety(run)["compile-time"]
    assert woven.measured == (
        "orchestrion-otel: the program contains code of 21 more modules; "
        "orchestrion-otel: the build changed 5 source files or more"
    )
    assert (woven.evidence, woven.confidence) == (("manifest.json",), "one observation")
    assert "ebpf: the program itself is unchanged" in safety(run)["run-time"].measured
    bare = tuple(replace(form, modules_added=None, files_changed=None) for form in run.manifest.forms)
    unknown = safety(replace(run, manifest=replace(run.manifest, forms=bare)))
    assert unknown["compile-time"].measured == "not measured"
    assert "untouched" not in unknown["run-time"].measured
