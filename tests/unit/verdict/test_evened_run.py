"""Collections of garbage through the whole verdict of a counted run: its figures, its intervals, its page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.guest.wire import Cell
from lab.model.metrics import ALL_LEVELS
from lab.model.run import Run, RunCell
from lab.model.summary import Summary
from lab.report import rates
from lab.report.markdown import markdown
from lab.report.page import html
from lab.runs.read import read
from lab.verdict import summarize
from tests.unit.report import synthetic
from tests.unit.verdict.test_summary import row

EACH_S = 0.02
NS = 2.0
METRIC = "instructions_per_request"


def with_collections(one: RunCell) -> RunCell:
    """Every cell the same CPU of its form, and in every third of `orchestrion-otel` a collection more; one life."""
    cell = one.cell
    base = 0.5 if cell.form == "orchestrion-otel" else 0.4
    known = {}
    if cell.form == "orchestrion-otel":
        known = {"service": 6 + (cell.block % 3 == 0)}
        base += EACH_S * (cell.block % 3 == 0)
    base += 0.0002 * ((cell.block * 7) % 5)
    usage = tuple(
        replace(u, user_s=base, system_s=0.0) if u.role == "service" else replace(u, user_s=0.0, system_s=0.0)
        for u in cell.usage
    )
    return replace(one, cell=replace(cell, usage=usage, collections=known, life=f"1-{cell.form}.1"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """The run, and the same one from before collections were counted."""
    made = read(synthetic.write(tmp_path_factory.mktemp("run") / "run", blocks=9, requests=60))
    machine = replace(made.machine, instruction_ns=NS)
    cells = tuple(with_collections(one) for one in made.cells)
    run = replace(made, machine=machine, plan=replace(made.plan, clock="counted"), cells=cells)
    before = replace(run, cells=tuple(replace(one, cell=replace(one.cell, collections={})) for one in cells))
    return run, before


SLOW_S = 10.0


def lasting(cell: Cell, window_s: float) -> Cell:
    return replace(cell, window_s=window_s, window_end_ns=cell.window_start_ns + int(window_s * 1e9))


def with_slow(run: Run, collections: int) -> Run:
    """With one more cell of a fifth of the rate in the first life of each form, and as many collections in it."""
    found = []
    for one in run.cells:
        cell = lasting(one.cell, SLOW_S / 5)
        found.append(replace(one, cell=cell))
        if cell.block == 1:
            more = EACH_S * (collections - 6) if cell.form == "orchestrion-otel" else 0.0
            usage = tuple(replace(u, user_s=u.user_s + more) if u.role == "service" else u for u in cell.usage)
            known = {"service": collections} if cell.form == "orchestrion-otel" else {"service": 6}
            slow = replace(cell, id=f"{cell.id}-slow", level="slow", usage=usage, collections=known)
            found.append(replace(one, cell=lasting(slow, SLOW_S)))
    lives = tuple(
        replace(life, cells=(*life.cells, replace(first, id=f"{first.id}-slow", level="slow", rate_rps=1.0)))
        for life in run.plan.lives
        for first in life.cells[:1]
    )
    return replace(run, cells=tuple(found), plan=replace(run.plan, lives=lives))


def of_form(summary: Summary) -> dict[int, tuple[float, float]]:
    return {
        cell.block: (cell.cost, cell.as_counted)
        for cell in summary.timeline
        if cell.form == "orchestrion-otel" and cell.cost is not None and cell.as_counted is not None
    }


def test_cells_are_even_and_their_sum_is_what_was_counted(runs: tuple[Run, Run]) -> None:
    summary = summarize(runs[0])
    cells = of_form(summary)
    each = EACH_S * 1e9 / NS / 60
    assert cells[3][1] - cells[2][1] == pytest.approx(each, rel=0.05)
    assert cells[3][0] - cells[2][0] == pytest.approx(0.0, abs=0.05 * each)
    assert sum(cost for cost, _ in cells.values()) == pytest.approx(sum(raw for _, raw in cells.values()))
    found = summary.forms["orchestrion-otel"].collections["service"]
    assert found.count == 6 * 9 + 3
    assert found.instructions == pytest.approx(EACH_S * 1e9 / NS, rel=0.05)
    assert summary.forms["baseline"].collections == {}


def test_less_can_be_told_apart_and_the_edge_of_the_life_stays_in_the_interval(runs: tuple[Run, Run]) -> None:
    after, before = (row(summarize(run), "orchestrion-otel", "baseline", METRIC) for run in runs)
    assert after.mde_pct is not None
    assert before.mde_pct is not None
    assert after.mde_pct < before.mde_pct
    assert after.low_pct is not None
    assert after.high_pct is not None
    edge_pct = 0.5 * EACH_S / (9 * 0.5) * 100 * 1.25  # as a share of the form's cost, in per cent of the baseline's
    assert (after.high_pct - after.low_pct) / 2 > 1.9 * edge_pct


def test_the_page_shows_both_figures(runs: tuple[Run, Run]) -> None:
    after, before = (html(summarize(run)) for run in runs)
    assert "garbage collections of its process life" in after
    assert "as counted" in after
    assert "as counted" not in before
    assert "garbage" not in before


def test_a_role_with_several_processes_is_left_as_it_was(runs: tuple[Run, Run]) -> None:
    """The guest half tells no collections of it."""
    cell: Cell = runs[1].cells[0].cell
    assert cell.collections == {}
    assert all(cost == raw for cost, raw in of_form(summarize(runs[1])).values())


def test_a_real_clock_moves_nothing(runs: tuple[Run, Run], tmp_path: Path) -> None:
    machine = replace(runs[0].machine, instruction_ns=None)
    timed = replace(runs[0], machine=machine, plan=replace(runs[0].plan, clock="real"))
    summary = summarize(timed)
    assert all(cost == raw for cost, raw in of_form(summary).values())
    assert summary.forms["orchestrion-otel"].collections == {}


def test_a_standing_cost_that_one_collection_makes_is_lost_in_noise_everywhere(runs: tuple[Run, Run]) -> None:
    for collections in (5, 6, 7):
        summary = summarize(with_slow(runs[0], collections))
        found = row(summary, "orchestrion-otel", "baseline", "instructions_standing")
        assert "garbage collection" in found.lost or found.effect_pct is None
        assert "the standing cost is lost in noise" in str(rates.section(summary))
        (line,) = [
            line
            for line in markdown(summary).splitlines()
            if line.startswith("| orchestrion-otel | baseline | Standing")
        ]
        assert "lost in noise" in line or found.effect_pct is None
        assert len(found.evidence) == 6, "only the cells of the block with both rates"


def test_how_far_a_fit_is_off_is_half_a_collection_of_its_slow_cell(runs: tuple[Run, Run]) -> None:
    level = summarize(with_slow(runs[0], 6)).forms["orchestrion-otel"].metrics[ALL_LEVELS]
    slow, fast = 60 / SLOW_S, 60 / (SLOW_S / 5)
    half = 1.96 * 0.5 * EACH_S * 1e9 / NS
    shared = half / 9 / (SLOW_S / 5)  # of the fast cells: nine share one
    assert level.plus_minus["instructions_marginal"] == pytest.approx(
        (half / SLOW_S + shared) / (fast - slow), rel=0.05
    )
    standing = (half / SLOW_S * fast + shared * slow) / (fast - slow)
    assert level.plus_minus["instructions_standing"] == pytest.approx(standing, rel=0.05)


def test_one_slow_cell_has_the_range_of_one_collection(runs: tuple[Run, Run]) -> None:
    summary = summarize(with_slow(runs[0], 6))
    (slow,) = [
        v
        for v in summary.verdicts
        if (v.form, v.against, v.metric, v.level) == ("orchestrion-otel", "baseline", METRIC, "slow")
    ]
    assert slow.low_pct is None
    assert slow.range_pct[0] < (slow.effect_pct or 0.0) < slow.range_pct[1]
    assert "by one garbage collection" in html(summary)


def test_a_window_without_a_length_is_in_no_fit(runs: tuple[Run, Run]) -> None:
    run = with_slow(runs[0], 6)
    first, *others = run.cells
    after = replace(run, cells=(replace(first, cell=replace(first.cell, window_s=0.0)), *others))
    usable = [summarize(one).forms[first.cell.form].cells.usable["cpu"] for one in (run, after)]
    assert usable == [10, 9]


def test_a_counted_plan_without_forms_is_a_run_without_verdicts(runs: tuple[Run, Run]) -> None:
    run = runs[0]
    assert summarize(replace(run, plan=replace(run.plan, forms={}, lives=()))).verdicts == ()
