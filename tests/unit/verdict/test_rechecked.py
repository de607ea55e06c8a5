"""What the report judges once more from a cell's own rows, window and counters: none of it is believed against them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.guest.scoring.gates import FAMILIES
from lab.guest.wire import AgentSpec, Gate
from lab.model.figures import plural
from lab.model.run import Run, RunCell
from lab.model.summary import Summary
from lab.runs.read import read
from lab.verdict import summarize
from tests.unit.report import synthetic
from tests.unit.verdict.test_summary import row


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return read(synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=120))


def changed(run: Run, **cell: Any) -> Run:
    """The same run, with these values in each cell of ebpf."""
    return replace(
        run, cells=tuple(replace(c, cell=replace(c.cell, **cell)) if c.cell.form == "ebpf" else c for c in run.cells)
    )


@pytest.mark.parametrize("window_s", [0.0, -1.0])
def test_a_window_without_a_length_is_void(run: Run, window_s: float) -> None:
    absent = summarize(changed(run, window_s=window_s)).forms["ebpf"].absent
    assert set(absent) == set(FAMILIES)
    assert all("its window has no length" in why for why in absent.values())


@pytest.mark.parametrize("longer_s", [3600.0, 2.0**62 / 1e9, -0.2])
def test_the_two_clocks_of_a_window_are_compared_again(run: Run, longer_s: float) -> None:
    """A guest half whose gate says ok is not believed against its own window."""
    ebpf = next(c.cell for c in run.cells if c.cell.form == "ebpf")
    summary = summarize(changed(run, window_end_ns=ebpf.window_end_ns + int(longer_s * 1e9)))
    absent = summary.forms["ebpf"].absent
    assert set(absent) == set(FAMILIES)
    assert all("by the monotonic clock" in why for why in absent.values())
    assert summarize(changed(run, window_end_ns=ebpf.window_end_ns + 40_000_000)).forms["ebpf"].absent == {}
    ok = Gate("clock_step", True, 0.0, 0.05, "wall clock against monotonic clock, seconds")
    said = summarize(changed(run, window_s=9999.0, gates=(*ebpf.gates, ok))).problems
    assert any("gate clock_step: the guest reports ok" in one for one in said)


def test_a_long_window_may_drift_by_what_the_kernel_slews(run: Run) -> None:
    ebpf = next(c.cell for c in run.cells if c.cell.form == "ebpf")
    hour = changed(run, window_end_ns=ebpf.window_start_ns + int(3601.5e9), window_s=3600.0)
    assert summarize(hour).forms["ebpf"].absent == {}


@pytest.mark.parametrize(
    ("field", "by_s", "why"),
    [
        ("end_ns", -600.0, "ended before it was due"),
        ("intended_ns", -600.0, "outside the window"),
        ("end_ns", 600.0, "outside the window"),
    ],
)
def test_rows_that_cannot_be_void_what_is_counted_from_them(run: Run, field: str, by_s: float, why: str) -> None:
    def moved(one: RunCell) -> RunCell:
        first, *others = one.requests()
        first = first._replace(**{field: getattr(first, field) + int(by_s * 1e9)})
        return replace(one, requests=lambda: iter([first, *others]))

    cells = tuple(moved(c) if c.cell.form == "ebpf" else c for c in run.cells)
    absent = summarize(replace(run, cells=cells)).forms["ebpf"].absent
    assert set(absent) == {"latency", "spans"}
    assert all("1 request" in said and why in said for said in absent.values())


@pytest.mark.parametrize("times", [0.5, 3])
def test_a_number_of_requests_that_the_rows_contradict_divides_nothing(run: Run, times: float) -> None:
    """Per request, three times as many would make the form a third as dear."""

    def told(one: RunCell) -> RunCell:
        return replace(one, cell=replace(one.cell, completed=round(one.cell.completed * times)))

    cells = tuple(told(c) if c.cell.form == "ebpf" else c for c in run.cells)
    summary = summarize(replace(run, cells=cells))
    form = summary.forms["ebpf"]
    assert list(form.absent) == ["cpu"]
    assert f"the guest reports {round(120 * times)} answered requests, its rows have 120" in form.absent["cpu"]
    assert (form.cpu, form.cells.invalid) == ({}, 1)
    found = row(summary, "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert (found.effect_pct, found.word) == (None, "INVALID")
    assert row(summary, "ebpf", "baseline", "latency_p50_ms").effect_pct is not None, "of the rows alone"


def test_a_counter_that_is_gone_is_no_zero(run: Run) -> None:
    """Usage without the service, as after a window of no samples: no CPU per request, rather than none used."""
    cells = tuple(replace(c, cell=replace(c.cell, usage=())) if c.cell.form == "ebpf" else c for c in run.cells)
    summary = summarize(replace(run, cells=cells))
    found = row(summary, "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert (found.effect_pct, found.value, found.word) == (None, None, "INVALID")
    assert found.reasons == ("no valid cell of ebpf (no counters of its service)",)
    assert (summary.cells.valid, summary.cells.planned) == (5, 6), "counters are a part of a whole cell"
    assert list(summary.forms["ebpf"].absent) == ["cpu", "memory"]


def test_an_agent_without_a_counter_is_said_to_be_it(run: Run) -> None:
    def alone(one: RunCell) -> RunCell:
        return replace(one, cell=replace(one.cell, usage=tuple(u for u in one.cell.usage if u.role != "agent")))

    form = replace(run.plan.forms["ebpf"], agent=AgentSpec("agent", "", ("agent",)))
    plan = replace(run.plan, forms={**run.plan.forms, "ebpf": form})
    cells = tuple(alone(c) if c.cell.form == "ebpf" else c for c in run.cells)
    absent = summarize(replace(run, plan=plan, cells=cells)).forms["ebpf"].absent
    assert absent["cpu"] == "no valid cell of ebpf (no counters of its agent)"


@pytest.mark.parametrize("told", [1, 10**6])
def test_a_number_of_spans_that_the_file_contradicts_divides_nothing(run: Run, told: int) -> None:
    """Per delivered span, one in place of hundreds would make the form hundreds of times as dear."""
    summary = summarize(changed(run, spans_total=told))
    ebpf = next(c for c in run.cells if c.cell.form == "ebpf")
    why = f"the guest reports {plural(told, 'span')}, its file has {ebpf.cell.spans_total:,}"
    form = summary.forms["ebpf"]
    assert form.absent == {"spans": f"no valid cell of ebpf ({why})"}
    assert f"{ebpf.cell.id}: {why}" in summary.problems
    assert form.metrics["main"].cpu_ms_per_span is None
    assert row(summary, "ebpf", "baseline", "cpu_s_per_1k_requests").effect_pct is not None
    assert summarize(run).forms["ebpf"].metrics["main"].cpu_ms_per_span


@pytest.mark.parametrize(
    ("field", "value"), [("block", 77), ("level", "nowhere"), ("id", "1-ebpf-other"), ("form", "stranger")]
)
def test_a_cell_that_is_not_in_the_plan_is_a_problem_and_none_of_its_cells(run: Run, field: str, value: object) -> None:
    summary = summarize(changed(run, **{field: value}))
    assert (summary.cells.valid, summary.cells.planned) == (5, 6)
    assert summary.forms["ebpf"].cells.valid == 0
    assert row(summary, "ebpf", "baseline", "cpu_s_per_1k_requests").reasons == ("no cell of ebpf finished",)
    (said,) = [one for one in summary.problems if "not in the plan" in one]
    assert str(value) in said


def using(run: Run, user_s: float, system_s: float = 0.0) -> Summary:
    """The run with this CPU time of every process of ebpf."""

    def used(one: RunCell) -> RunCell:
        usage = tuple(replace(row, user_s=user_s, system_s=system_s) for row in one.cell.usage)
        return replace(one, cell=replace(one.cell, usage=usage))

    return summarize(replace(run, cells=tuple(used(c) if c.cell.form == "ebpf" else c for c in run.cells)))


def test_a_counter_that_reads_zero_is_there_and_said_to(run: Run) -> None:
    found = row(using(run, 0.0), "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert (found.word, found.effect_pct, found.value) == ("CAN'T TELL", None, 0.0)
    assert found.reasons == ("its counter reads zero or less in every common block",)


@pytest.mark.parametrize(("user_s", "system_s"), [(-9.0, 0.0), (-1.0, 9.0)])
def test_a_cpu_time_below_zero_is_a_problem_and_no_figure(run: Run, user_s: float, system_s: float) -> None:
    summary = using(run, user_s, system_s)
    assert any(f"the user time of service reads {user_s:g} s" in said for said in summary.problems)
    found = row(summary, "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert (found.word, found.value) == ("INVALID", None)
    assert "the user time of service reads -" in found.reasons[0]
    assert row(summary, "ebpf", "baseline", "latency_p50_ms").effect_pct is not None


# --- nothing was counted ---------------------------------------------------------------------------------------------
