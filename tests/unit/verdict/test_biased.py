"""A side that lost more of its cells than the other shows only its better ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.guest.scoring.gates import EVERYTHING, Validity
from lab.model.run import Run
from lab.model.summary import Verdict
from lab.runs.read import read
from lab.verdict import summarize
from lab.verdict.compare import Terms, rows
from lab.verdict.observe import FormView
from tests.simulate.noise import normal
from tests.simulate.session import Setup, at_rates, session
from tests.unit.report import synthetic
from tests.unit.verdict.test_summary import row


def test_losing_more_cells_than_the_other_side_is_biased(tmp_path: Path) -> None:
    run = read(synthetic.write(tmp_path / "run", blocks=3, requests=60))
    cells = tuple(
        replace(c, cell=replace(c.cell, valid=False)) if c.cell.form == "ebpf" and c.cell.block < 3 else c
        for c in run.cells
    )
    found = row(summarize(replace(run, cells=cells)), "ebpf", "baseline", "cpu_s_per_1k_requests")
    assert found.word == "BIASED"
    assert found.reasons[0].startswith("2 of 3 cells of ebpf have no valid figure (2 attempts INVALID), 0 of 6 on")
    assert row(summarize(run), "ebpf", "baseline", "cpu_s_per_1k_requests").blocks == 3


@pytest.mark.parametrize("form", ["twin", "ebpf"])
def test_one_lost_cell_is_no_difference_of_shares_and_cells_that_never_ran_are_told(tmp_path: Path, form: str) -> None:
    run = read(synthetic.write(tmp_path / "run", blocks=3, requests=60))

    def cpu(of: Run) -> Verdict:
        return row(summarize(of), "ebpf", "baseline", "cpu_s_per_1k_requests")

    void = [replace(c, cell=replace(c.cell, valid=False)) if c.cell.block == 2 else c for c in run.cells]
    one_void = tuple(new if old.cell.form == form else old for old, new in zip(run.cells, void, strict=True))
    one_gone = tuple(c for c in run.cells if c.cell.form != form or c.cell.block != 2)
    assert {cpu(replace(run, cells=cells)).word for cells in (one_void, one_gone)} == {"INDICATIVE"}
    more_gone = tuple(c for c in run.cells if c.cell.form != "ebpf" or c.cell.block == 1)
    found = cpu(replace(run, cells=more_gone))
    assert found.word == "BIASED"
    assert found.reasons[0].startswith("2 of 3 cells of ebpf have no valid figure (2 never ran), 0 of 6 on the other")


RATES = ("20", "40", "60")
CPU = "cpu_s_per_1k_requests"


def without(form: FormView, level: str, blocks: int) -> FormView:
    """The form whose first cells at this level are void."""
    void = Validity().but(EVERYTHING, "errors: 3")
    return replace(
        form,
        attempts=tuple(
            replace(view, validity=void) if view.cell.level == level and view.cell.block <= blocks else view
            for view in form.attempts
        ),
    )


def words(lost: dict[str, str], blocks: int = 4) -> dict[str, Verdict]:
    """Level -> the row of CPU of form a, which costs more, where these forms lost cells at one level each."""
    setup = Setup(noise=(normal(0.002), normal(0.002)), factor={"a": 1.5}, blocks=12)
    made = {rate: session(setup, rate) for rate in RATES}
    forms = {name: at_rates({rate: views[name] for rate, views in made.items()}) for name in made["20"]}
    forms |= {name: without(forms[name], level, blocks) for name, level in lost.items()}
    terms = Terms(grade="ready", levels=RATES, instrumented=2, seen={"cpu": True, "wait": True})
    of = [one for one in rows(forms, terms) if (one.form, one.against) == ("a", "baseline")]
    return {one.level: one for one in of if one.metric == CPU or one.level == "all"}


def test_cells_lost_at_one_level_bias_that_level_and_what_is_fitted_over_all() -> None:
    found = words({"a": "60"})
    assert {level: one.word for level, one in found.items()} == {
        "20": "INDICATIVE",
        "40": "COSTS MORE",
        "60": "BIASED",
        "all": "BIASED",
    }
    assert found["60"].reasons[0].startswith("4 of 12 cells of a have no valid figure (4 attempts INVALID), 0 of 24 on")
    assert found["all"].reasons[0].startswith("4 of 36 cells of a have no valid figure (4 attempts INVALID), 0 of 72")


def test_as_many_cells_lost_at_another_level_do_not_even_it_out() -> None:
    found = words({"a": "40", "baseline": "20", "twin": "20"})
    assert found["40"].word == "BIASED"
    assert found["20"].word == "BIASED"
