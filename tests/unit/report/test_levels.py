"""A run with several loads: its figures per request are those at the load of the verdicts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.model.metrics import ALL_LEVELS
from lab.model.run import Run, RunCell
from lab.model.summary import Summary
from lab.report import cpu, rates
from lab.runs.read import read
from lab.verdict import summarize
from tests.unit.report import synthetic


def at(one: RunCell, level: str, factor: float) -> RunCell:
    """The same cell at another load, with another CPU time and memory."""
    usage = tuple(
        replace(row, user_s=row.user_s * factor, system_s=row.system_s * factor, rss_mib=row.rss_mib * factor)
        for row in one.cell.usage
    )
    return replace(one, cell=replace(one.cell, id=f"{one.cell.id}-{level}", level=level, usage=usage))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three loads; without load a request is three times as dear."""
    made = read(synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=60))
    shares = {"low": 3.0, "middle": 1.0, "top": 0.8}
    lives = tuple(
        replace(
            life,
            cells=tuple(
                replace(cell, id=f"{cell.id}-{level}", level=level, rate_rps=cell.rate_rps * (1 + index))
                for cell in life.cells
                for index, level in enumerate(shares)
            ),
        )
        for life in made.plan.lives
    )
    cells = tuple(at(one, level, factor) for one in made.cells for level, factor in shares.items())
    return replace(made, plan=replace(made.plan, lives=lives), cells=cells)


@pytest.fixture(scope="module")
def summary(run: Run) -> Summary:
    return summarize(run)


def test_where_the_cpu_went_adds_up_to_what_the_card_says(summary: Summary) -> None:
    assert summary.level == "middle"
    for form in summary.forms.values():
        told = form.at(summary.level)
        assert told is not None
        parts = sum(form.cpu.get(key, 0.0) for key, _, _ in cpu.PARTS)
        assert parts == pytest.approx(told.cpu_s_per_1k_requests)
        assert sum(form.memory.values()) == pytest.approx(told.rss_mib)
    assert "of CPU per request at the load middle, service" in str(cpu.section(summary))


def test_a_form_without_a_cell_at_that_load_has_no_bar_of_another(run: Run) -> None:
    cells = tuple(c for c in run.cells if (c.cell.form, c.cell.level) != ("ebpf", "middle"))
    found = summarize(replace(run, cells=cells))
    assert found.forms["ebpf"].cpu == {}
    assert "no valid cell at the load middle" in str(cpu.section(found))


def test_why_several_rates_have_no_line(summary: Summary) -> None:
    def bare(**absent: str) -> Summary:
        forms = {
            name: replace(form, absent=absent, metrics={k: v for k, v in form.metrics.items() if k != ALL_LEVELS})
            for name, form in summary.forms.items()
        }
        cells = tuple(replace(cell, rate_rps=rate) for cell in summary.timeline[:1] for rate in (1.0, 2.0, 3.0))
        return replace(summary, forms=forms, timeline=cells)

    assert "3 rates, and no line: no valid cell of ebpf (steal)." in str(
        rates.section(bare(cpu="no valid cell of ebpf (steal)"))
    )
    assert "3 rates, and no line: no form has a figure at two of them in every block." in str(rates.section(bare()))
    one = replace(bare(), timeline=bare().timeline[:1])
    assert "1 rate: two are needed to tell them apart." in str(rates.section(one))
