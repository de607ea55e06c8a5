"""A side that lost more of its cells than the other shows only its better ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.model.run import Run
from lab.model.summary import Verdict
from lab.runs.read import read
from lab.verdict import summarize
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
