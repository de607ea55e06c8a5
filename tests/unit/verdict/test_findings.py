"""What a run says beside its figures: doubt, too much load, clocks that were put right, what a build brings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from lab.flows.report import Reported
from lab.guest.scoring.saturation import queue
from lab.guest.wire import Gate, RequestSpec, decode, encode
from lab.model.run import Request, Run, RunCell
from lab.model.summary import PillarClaim, Summary
from lab.model.summary_form import ClockShift
from lab.report import html, junit, markdown, phrases
from lab.runs.read import read
from lab.verdict import summarize
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
        first, last = cell.cell.window_start_ns, max(row.end_ns for row in rows)
        until = replace(cell.cell, window_end_ns=last, window_s=(last - first) / 1e9)
        return replace(cell, cell=until, requests=lambda: iter(rows))

    cells = tuple(busy(c) if c.cell.form == "ebpf" else c for c in run.cells)
    summary = summarize(replace(run, cells=cells))
    found = row(summary, "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert found.word == "SATURATED"
    assert found.reasons[0].startswith("ebpf did not sustain this load")
    assert found.effect_pct is not None
    assert row(summary, "orchestrion-otel", "baseline", "cpu_s_per_1k_requests").word == "INDICATIVE"
    assert [cell.form for cell in summary.timeline if cell.saturated] == ["ebpf"]
    assert [cell.valid for cell in summary.timeline if cell.saturated] == [True]
    of_it = summary.forms["ebpf"].cells
    assert (of_it.valid, of_it.saturated, of_it.settled) == (1, 0, 1), "its figures are valid: it is counted once"


LIMIT_NS = 3 * 10**9
GET = RequestSpec("get", 1, "GET", "/get")
SLOW = RequestSpec("slow", 1, "GET", "/slow", expect_timeout=True)
MISSED = (
    Gate("completed", False, 0.5, 0.995, "completed ÷ scheduled"),
    Gate("errors", False, 100.0, 0.0, "answers with an unexpected status"),
)


def giving_up(rows: list[Request], status: int = -1) -> list[Request]:
    """The same with a client that waits three seconds and no longer."""
    return [
        r._replace(status=status, end_ns=r.intended_ns + LIMIT_NS) if r.end_ns - r.intended_ns > LIMIT_NS else r
        for r in rows
    ]


def timing_out(one: RunCell, *gates: Gate) -> RunCell:
    """The cell of a form at twice the load that it can sustain, as the guest half records it."""
    rows = giving_up(overloaded(list(one.requests()), took_ms=2000 / one.cell.rate_rps))
    answered = sum(r.status > 0 for r in rows)
    missed = (*(g for g in one.cell.gates if g.name not in {"completed", "errors"}), *MISSED, *gates)
    cell = replace(one.cell, valid=False, gates=missed, completed=answered, unexpected=len(rows) - answered, by_type={})
    return replace(one, cell=cell, requests=lambda: iter(rows))


def test_a_saturated_form_whose_requests_time_out_is_saturated_and_not_invalid(tmp_path: Path) -> None:
    whole = read(synthetic.write(tmp_path / "run", blocks=3, requests=240))

    def words(*blocks: int, gates: tuple[Gate, ...] = ()) -> tuple[str, str]:
        cells = tuple(
            timing_out(c, *gates) if c.cell.form == "ebpf" and c.cell.block in blocks else c for c in whole.cells
        )
        found = row(summarize(replace(whole, cells=cells)), "ebpf", "baseline", "cpu_s_per_1k_requests")
        return found.word, found.reasons[0]

    word, why = words(1, 2, 3)
    assert word == "SATURATED"
    assert " timed out, its queue grew from " in why
    assert words(1, 2)[0] == "SATURATED"
    assert words(1)[0] == "INDICATIVE", "one may be due to the host"
    dead = Gate("service_alive", False, 0.0, 1.0, "service shop killed by signal 9")
    assert words(1, 2, 3, gates=(dead,))[0] == "INVALID", "a crash explains it"


def test_a_saturated_cell_is_called_so_everywhere(run: Run) -> None:
    cells = tuple(timing_out(c) if c.cell.form == "ebpf" else c for c in run.cells)
    summary = summarize(replace(run, cells=cells))
    (attempt,) = [cell for cell in summary.timeline if cell.form == "ebpf"]
    assert (attempt.saturated, attempt.valid, phrases.void(attempt)) == (True, False, "saturated")
    (line,) = [one for one in summary.lines if (one.form, one.against) == ("ebpf", "baseline")]
    assert line.word == "SATURATED"
    assert "CPU per request: SATURATED, ebpf did not sustain this load" in line.text
    assert "INVALID: " in line.text, "its spans were not counted"
    (case,) = [c for c in ET.fromstring(junit(summary)).iter("testcase") if c.get("name") == attempt.cell]
    assert case.find("failure") is None


def exit_code(summary: Summary) -> int:
    return Reported(directory=Path(), html=Path(), summary=summary, lines=()).exit_code


def test_too_much_load_is_a_finding_and_no_failure(run: Run) -> None:
    cells = tuple(timing_out(c) if c.cell.form == "ebpf" else c for c in run.cells)
    summary = summarize(replace(run, cells=cells))
    found = summary.forms["ebpf"].cells
    assert (found.planned, found.valid, found.saturated, found.settled) == (1, 0, 1, 1)
    assert (found.invalid, found.invalid_share) == (0, 0.0)
    assert (summary.cells.valid, summary.cells.saturated, summary.cells.invalid) == (5, 1, 1), "the twin's first is"
    assert exit_code(summary) == 0
    assert 'failures="0"' in junit(summary).partition("\n")[2].partition("\n")[0]
    assert "5 of 6 cells valid, 1 saturated" in markdown(summary)
    assert "2 attempts missed a gate and are dotted" in html(summary)
    assert "0 / 1, 1 saturated" in html(summary)


def test_a_crash_under_too_much_load_is_a_failure(run: Run) -> None:
    dead = Gate("service_alive", False, 0.0, 1.0, "service shop killed by signal 9")
    cells = tuple(timing_out(c, dead) if c.cell.form == "ebpf" else c for c in run.cells)
    summary = summarize(replace(run, cells=cells))
    found = summary.forms["ebpf"].cells
    assert (found.saturated, found.settled, found.invalid, found.invalid_share) == (0, 0, 1, 1.0)
    assert exit_code(summary) == 6
    assert 'failures="1"' in junit(summary).partition("\n")[2].partition("\n")[0]


def test_a_summary_from_before_counts_no_saturated_cell(run: Run) -> None:
    doc = encode(summarize(run))
    del doc["cells"]["saturated"]
    cells = decode(Summary, doc).cells
    assert (cells.valid, cells.saturated, cells.settled) == (6, 0, 6)


def test_slow_answers_and_pauses_are_no_saturation() -> None:
    def grew(rows: list[Request], spec: RequestSpec = GET) -> bool:
        found = queue(rows, [spec])
        assert found is not None
        return found.grew

    calm = [Request(i * 10**8, i * 10**8, i * 10**8 + 3 * 10**8, 200, "get", "", "") for i in range(200)]
    assert not grew(calm)
    assert queue(calm, [GET]).mean == pytest.approx((3, 3, 3, 3), rel=0.1)  # type: ignore[union-attr]
    stood = [r._replace(end_ns=max(r.end_ns, 12 * 10**9)) if r.start_ns > 9 * 10**9 else r for r in calm]
    assert not grew(stood)
    assert grew(overloaded(calm, 110))
    assert not grew(overloaded(calm, 99))
    assert queue(calm[:19], [GET]) is None
    for status in (-1, 0):
        assert grew(giving_up(overloaded(calm, 200), status)), "the client's limit does not hide the queue"
    assert not grew(giving_up(overloaded(calm, 99)))
    meant = [r._replace(status=-1, end_ns=r.start_ns + 10**9) if i % 3 == 0 else r for i, r in enumerate(calm)]
    assert grew(meant)
    assert not grew([r._replace(type="slow") if r.status < 0 else r for r in meant], SLOW)
    hung = [r._replace(status=-1, end_ns=r.start_ns + 10**10) if i % 3 == 0 else r for i, r in enumerate(calm)]
    assert not grew(hung), "answers as fast as ever: a fault of one request in three"
    refused = [r._replace(status=0, end_ns=r.start_ns + 10**6) if i % 10 == 0 else r for i, r in enumerate(calm)]
    assert not grew(refused), "errors at an even rate are a fault, not a queue"


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
