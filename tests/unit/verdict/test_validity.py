"""A gate voids what it can touch and nothing else, through the whole verdict: one late send empties no run.

Cases: late-voids-spans, no-context.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.guest.scoring.gates import FAMILIES
from lab.guest.wire import Expectation, Gate, GuestRecord
from lab.model.run import Run, RunCell
from lab.model.summary_form import FormProof
from lab.runs.read import read
from lab.verdict import summarize
from tests.unit.report import synthetic
from tests.unit.verdict.test_summary import row

LATE = Gate("late", False, 0.034, 0.02, "7 of 180 sends left late and raise the median latency by this share")
MISSED = {
    "late": LATE,
    "steal": Gate("steal", False, 0.2, 0.05, "share of all CPUs taken by the hypervisor"),
    "spans_still": Gate("spans_still", False, 1.0, 0.0, "1: spans arrived after the drain"),
    "build_id": Gate("build_id", False, 3.0, 0.0, "answers of another build than b1"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return read(synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=120))


def missing(run: Run, gate: Gate, *forms: str) -> Run:
    """The same run, with this gate missed in every cell of these forms; of all when none is named."""

    def miss(one: RunCell) -> RunCell:
        gates = (*(g for g in one.cell.gates if g.name != gate.name), gate)
        return replace(one, cell=replace(one.cell, valid=False, reasons=(gate.said,), gates=gates))

    return replace(run, cells=tuple(miss(c) if not forms or c.cell.form in forms else c for c in run.cells))


def test_late_voids_spans_no_more(run: Run) -> None:
    """Late sends in every cell: spans and CPU are what they were, latency alone is void."""
    before, after = summarize(run), summarize(missing(run, LATE))
    for name, form in after.forms.items():
        for key in ("coverage", "conformance", "nodes", "cpu", "memory"):
            assert getattr(form, key) == getattr(before.forms[name], key), (name, key)
        assert list(form.absent) == ["latency"]
        assert "7 of 180 sends left late" in form.absent["latency"]
        assert form.cells.usable == {"spans": 1, "cpu": 1, "memory": 1, "latency": 0}
        assert form.latency == {}
    assert (after.cells.valid, after.cells.usable["spans"]) == (0, 6)
    cpu = row(after, "orchestrion-otel", "baseline", "cpu_s_per_1k_requests")
    assert cpu == row(before, "orchestrion-otel", "baseline", "cpu_s_per_1k_requests")
    assert row(after, "orchestrion-otel", "baseline", "latency_p50_ms").word == "INVALID"
    (line,) = [one for one in after.lines if (one.form, one.against) == ("orchestrion-otel", "baseline")]
    valid, _, void = line.text.partition("median latency INVALID: ")
    assert valid.startswith("CPU per request +")
    assert "every reference span of 120 requests" in valid
    assert "7 of 180 sends left late" in void


def test_sides_without_a_common_block_say_why_and_others_are_compared_where_they_can_be(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Blocks 1 to 3: late sends void latency of orchestrion-otel in 2 and 3, of ebpf in 1, of the references in 1."""
    whole = read(synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=60, blocks=3))
    late = {"orchestrion-otel": {2, 3}, "baseline": {1}, "twin": {1}}

    def miss(one: RunCell) -> RunCell:
        cell = one.cell
        if cell.block not in late.get(cell.form, ()):
            return one
        gates = (*(g for g in cell.gates if g.name != "late"), LATE)
        return replace(one, cell=replace(cell, valid=False, reasons=(LATE.said,), gates=gates))

    after = summarize(replace(whole, cells=tuple(map(miss, whole.cells))))
    none = row(after, "orchestrion-otel", "baseline", "latency_p50_ms")
    assert (none.effect_pct, none.word) == (None, "CAN'T TELL")
    assert none.reasons[0].startswith("no block has a valid cell of both sides (late: 0.034")
    some = row(after, "ebpf", "baseline", "latency_p50_ms")
    assert some.blocks == 2
    assert some.effect_pct is not None
    assert row(after, "orchestrion-otel", "baseline", "cpu_s_per_1k_requests").blocks == 3


@pytest.mark.parametrize(
    ("gate", "void"),
    [
        ("late", {"latency"}),
        ("steal", {"cpu", "latency"}),
        ("spans_still", {"spans"}),
        ("build_id", set(FAMILIES)),
    ],
)
def test_each_gate_voids_its_own_families_in_every_figure(run: Run, gate: str, void: set[str]) -> None:
    summary = summarize(missing(run, MISSED[gate]))
    for form in summary.forms.values():
        assert set(form.absent) == void
        assert bool(form.cpu) == ("cpu" not in void)
        assert bool(form.memory) == ("memory" not in void)
        assert bool(form.latency) == ("latency" not in void)
        assert (form.coverage.not_counted == "") == ("spans" not in void)
    words = {metric: row(summary, "ebpf", "baseline", metric).word for metric in ("cpu_s_per_1k_requests", "rss_mib")}
    assert (words["cpu_s_per_1k_requests"] == "INVALID") == ("cpu" in void)
    assert (words["rss_mib"] == "INVALID") == ("memory" in void)


def test_of_two_attempts_each_family_takes_the_soundest(run: Run) -> None:
    """The first lost its latency, the rerun its spans: nothing is lost."""
    first = next(c for c in missing(run, LATE).cells if c.cell.form == "ebpf")
    second = next(c for c in missing(run, MISSED["spans_still"]).cells if c.cell.form == "ebpf")
    again = replace(second, cell=replace(second.cell, attempt=2))
    others = tuple(c for c in run.cells if c.cell.form != "ebpf")
    form = summarize(replace(run, cells=(*others, first, again))).forms["ebpf"]
    assert form.absent == {}
    assert form.cells.usable == dict.fromkeys(FAMILIES, 1)
    assert (form.cells.valid, form.cells.invalid) == (0, 2)


def test_a_rerun_replaces_what_is_void_and_nothing_else(run: Run) -> None:
    """Spans of the first attempt came late: its CPU is as valid as ever, and that of the rerun is of a new process."""
    first = next(c for c in missing(run, MISSED["spans_still"]).cells if c.cell.form == "ebpf")
    usage = tuple(replace(row, user_s=2 * row.user_s, system_s=2 * row.system_s) for row in first.cell.usage)
    again = next(c for c in run.cells if c.cell.form == "ebpf")
    again = replace(again, cell=replace(again.cell, attempt=2, usage=usage))
    others = tuple(c for c in run.cells if c.cell.form != "ebpf")
    before, after = summarize(run), summarize(replace(run, cells=(*others, first, again)))
    assert after.forms["ebpf"].cpu == before.forms["ebpf"].cpu
    assert after.forms["ebpf"].coverage == before.forms["ebpf"].coverage
    assert after.forms["ebpf"].cells.valid == 1


def test_lateness_is_judged_by_the_rows_too(run: Run) -> None:
    """A guest half that calls a cell valid is not believed against its own rows."""

    def late(one: RunCell) -> RunCell:
        rows = [r._replace(start_ns=r.start_ns + 9_000_000, end_ns=r.end_ns + 9_000_000) for r in one.requests()]
        return replace(one, requests=lambda: iter(rows))

    cells = tuple(late(c) if c.cell.form == "ebpf" else c for c in run.cells)
    summary = summarize(replace(run, cells=cells))
    assert list(summary.forms["ebpf"].absent) == ["latency"]
    assert "by the rows" in summary.forms["ebpf"].absent["latency"]
    assert any("gate late: the guest reports ok" in said for said in summary.problems)
    emulated = replace(run.plan, gates=replace(run.plan.gates, late_hard=False))
    assert summarize(replace(run, cells=cells, plan=emulated)).forms["ebpf"].absent == {}, "shown, not judged"


def unproven(run: Run, *names: str) -> Run:
    """Forms whose proof failed: no cell, a canary that says why; the baseline's service never even started."""
    canaries = tuple(
        replace(c, canary=replace(c.canary, ok=False, reason="no span arrived for any of 3 requests"))
        if c.canary.form in names
        else c
        for c in run.canaries
        if c.canary.form != "baseline" or "baseline" not in names
    )
    told = {"form": "baseline", "ok": False, "reason": "shop exited with code 2: no such flag"}
    records = (GuestRecord(seq=1, at_ns=1, boot_id="b", kind="proof", data=told),) if "baseline" in names else ()
    return replace(
        run, canaries=canaries, records=records, cells=tuple(c for c in run.cells if c.cell.form not in names)
    )


def test_no_context_a_failed_proof_is_the_reason_of_everything_that_is_not_there(run: Run) -> None:
    summary = summarize(unproven(run, "ebpf"))
    why = "no span arrived for any of 3 requests"
    form = summary.forms["ebpf"]
    assert summary.unproven == {"ebpf": why}
    assert form.proof == FormProof(ok=False, reason=why, gaps="")
    assert set(form.absent) == set(FAMILIES)
    assert all(why in said for said in form.absent.values())
    for score in (form.coverage, form.conformance):
        assert (score.ratio, score.received) == (None, None)
        assert why in score.not_counted
    (line,) = [one for one in summary.lines if (one.form, one.against) == ("ebpf", "baseline")]
    assert line.text.startswith("CPU per request and median latency and spans INVALID: ebpf was not measured")
    assert f"anything about ebpf: its proof failed ({why})" in summary.may_not_claim


def test_a_run_in_which_no_form_was_proven_says_so_of_every_figure(run: Run) -> None:
    nothing = summarize(unproven(run, *run.plan.forms))
    assert set(nothing.unproven) == set(run.plan.forms)
    assert {one.word for one in nothing.verdicts} == {"INVALID"}
    (line,) = [one for one in nothing.lines if (one.form, one.against) == ("ebpf", "baseline")]
    assert line.text.startswith("CPU per request and median latency and spans INVALID: ebpf was not measured")


def test_a_form_that_never_started_says_why_without_a_canary(run: Run) -> None:
    summary = summarize(unproven(run, "baseline"))
    assert summary.unproven == {"baseline": "shop exited with code 2: no such flag"}
    assert "no such flag" in next(said for said in summary.may_not_claim if said.startswith("the size of the noise"))


def test_a_form_that_is_expected_to_give_nothing_has_no_conformance(run: Run) -> None:
    conform = summarize(run).forms["baseline"].conformance
    assert (conform.ratio, conform.expected, conform.received) == (None, 0, 0)
    assert conform.not_counted == "this form has no expected spans here"


def strangers(run: Run, name: str = "orchestrion-otel") -> Run:
    """A service nobody wrote about, whose SQL has no context: each statement is a trace of its own."""

    def apart(one: RunCell) -> RunCell:
        spans = [
            replace(s, trace_id=s.span_id * 2, parent_id="") if "db.system" in s.attributes else s for s in one.spans()
        ]
        return replace(one, spans=lambda: iter(spans))

    spec = run.plan.forms[name]
    free = {
        kind: tuple(Expectation(node=node.id, parent="may-be-wrong" if node.parent else "always") for node in nodes)
        for kind, nodes in run.plan.reference.items()
    }
    spec = replace(spec, expected=replace(spec.expected, requests=free, known=False))
    plan = replace(run.plan, forms={**run.plan.forms, name: spec})
    return replace(run, plan=plan, cells=tuple(apart(c) if c.cell.form == name else c for c in run.cells))


def test_no_context_what_a_form_lacks_on_a_strangers_service_is_its_result(run: Run) -> None:
    form = summarize(strangers(run)).forms["orchestrion-otel"]
    assert form.coverage.ratio == 1.0, "every statement came"
    (sql,) = form.coverage.misplaced
    assert (sql.kind, sql.cause, sql.count) == ("sql client", "unknown", sql.roots)
    assert sql.count == sql.of > 100
    assert form.conformance.ratio is None
    assert form.conformance.not_counted.startswith("no expectation for this form on this service")
    assert form.conformance.unexpected == ()
    (line,) = [one for one in summarize(strangers(run)).lines if one.form == "orchestrion-otel"]
    assert "(sql client: root of a separate trace)" in line.text
