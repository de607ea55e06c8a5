"""The figures of single cells and of rates, from the summary of a real counted run."""

from __future__ import annotations

import dataclasses
import re

import pytest

from lab.model.summary import Summary
from lab.report import cells, cpu, rates
from lab.system import documents
from lab.system.documents import Source
from tests.unit.report.synthetic import ROOT

RUN = ROOT / "docs/results/2026-11-30-shop-counted"


@pytest.fixture(scope="module")
def counted() -> Summary:
    return documents.read(Source(path=RUN / "summary.json", name="summary.json", fix=""), Summary)


def test_every_cell_of_the_verdicts_level_has_one_mark(counted: Summary) -> None:
    drawn = str(cells.section(counted))
    marks = set(re.findall(r"<g><title>(\S+-fast): [\d.]+</title>", drawn))
    assert marks == {cell.cell for cell in counted.timeline if cell.level == "fast"}
    assert len(marks) == 100


def test_each_form_has_a_line_and_its_two_costs(counted: Summary) -> None:
    drawn = str(rates.section(counted))
    assert drawn.count('<line x1="64"') >= len(counted.forms)
    assert set(re.findall(r'class="name">([\w-]+)<', drawn)) == set(counted.forms)
    assert len(re.findall(r"[\d.]+ a request, ", drawn)) == len(counted.forms)
    assert "From one block: a reading without an interval." in drawn


def test_the_line_of_a_block_goes_through_its_cells(counted: Summary) -> None:
    rated = {(cell.form, cell.block): set[float]() for cell in counted.timeline}
    for cell in counted.timeline:
        rated[cell.form, cell.block].add(cell.rate_rps)
    fits = rates.fitted(counted)
    ends = [at for at in rates.points(counted) if len(rated[at[0].form, at[0].block]) > 1 and at[0].form in fits]
    assert len(ends) == 2 * len(fits)
    for cell, x, y in ends:
        assert y == pytest.approx(fits[cell.form].standing + fits[cell.form].marginal * x, rel=0.005), cell.cell


def test_a_rate_is_that_of_the_window_and_not_of_the_load(counted: Summary) -> None:
    one = dataclasses.replace(counted.timeline[0], completed=100, start_s=1.0, end_s=5.0)
    assert one.window_s is None, "an earlier version wrote none"
    assert one.answered_rps == 25.0
    assert dataclasses.replace(one, window_s=2.0).answered_rps == 50.0
    assert dataclasses.replace(one, window_s=0.0).answered_rps == 0.0


def test_a_cell_without_a_valid_figure_is_a_cross_with_its_reason(counted: Summary) -> None:
    first = next(cell for cell in counted.timeline if cell.level == "fast")
    void = dataclasses.replace(first, cost=None, void={"cpu": ("the VM was paused",)})
    others = tuple(cell for cell in counted.timeline if cell is not first)
    drawn = str(cells.section(dataclasses.replace(counted, timeline=(void, *others))))
    assert f"<title>{first.cell}: not valid for CPU</title>" in drawn


def test_the_cpu_time_of_a_span_is_that_at_the_verdicts_level(counted: Summary) -> None:
    form = counted.forms["ebpf"]
    metrics = {n: dataclasses.replace(form.metrics["slow"], cpu_ms_per_span=ms) for n, ms in (("a", 111.0), ("b", 222))}
    rows = tuple(dataclasses.replace(row, level="b") for row in counted.verdicts)
    forms = {"ebpf": dataclasses.replace(form, metrics=metrics)}
    drawn = str(cpu.section(dataclasses.replace(counted, forms=forms, verdicts=rows)))
    assert ">222<" in drawn
    assert ">111<" not in drawn
