"""A control that decides nothing says why, where it is missed: beside the verdict and among what may not be claimed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab import report
from lab.guest.wire import Gate
from lab.model.facts import MachineFacts
from lab.model.run import Run, RunCell
from lab.model.summary import Summary
from lab.runs.read import read
from lab.verdict import summarize
from tests.unit.report import synthetic
from tests.unit.verdict.test_summary import row

CPU = "cpu_s_per_1k_requests"
P50 = "latency_p50_ms"
DELAYS = {"delay-cpu", "delay-wait"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Nine blocks on bare metal: enough for a verdict."""
    made = read(synthetic.write(tmp_path_factory.mktemp("run") / "run", blocks=9, requests=40))
    bare = replace(made.manifest, provider="local", acceleration="none", floor_pct={CPU: 1.0})
    return replace(made, manifest=bare, machine=MachineFacts(virtualisation="none (of Dell)", emulated=False))


def without(run: Run, lost: Callable[[RunCell], bool]) -> Summary:
    """The run in which these cells are void."""
    cells = (replace(c, cell=replace(c.cell, valid=False, reasons=("errors: 3",))) if lost(c) else c for c in run.cells)
    return summarize(replace(run, cells=tuple(cells)))


def test_a_control_with_too_few_blocks_has_a_figure_and_says_how_many_it_needs(run: Run) -> None:
    summary = without(run, lambda c: c.cell.form in DELAYS and c.cell.block > 5)
    why = "has a figure from 5 blocks, and needs 8"
    found = row(summary, "ebpf", "baseline", CPU)
    assert (summary.grade.word, found.word) == ("ready", "CAN'T TELL")
    assert found.reasons[0] == f"the control of this metric {why}"
    assert f"that a small difference in CPU per request would be detected: delay-cpu {why}" in summary.may_not_claim
    (line,) = [one for one in summary.lines if (one.form, one.against) == ("ebpf", "baseline")]
    cpu, latency = line.text.split("; ")[0], line.text.partition("; median")[2]
    assert cpu.endswith(f"), the control of this metric {why}")
    assert f"the control of this metric {why}" in latency
    assert why in report.markdown(summary).replace("\\", "")


def test_a_control_without_a_figure_says_why_beside_the_verdict(run: Run) -> None:
    summary = without(run, lambda c: c.cell.form in DELAYS)
    why = "no valid cell of delay-cpu (errors: 3)"
    assert (
        row(summary, "ebpf", "baseline", CPU).reasons[0]
        == f"the control of this metric has no figure in this run ({why})"
    )
    assert f"that a small difference in CPU per request would be detected: {why}" in summary.may_not_claim


def test_a_run_with_too_few_blocks_says_so_once(run: Run) -> None:
    summary = without(run, lambda c: c.cell.block > 5)
    assert not [said for said in summary.may_not_claim if "small difference" in said]
    assert any(said.startswith("that a difference is established: 5 blocks") for said in summary.may_not_claim)


def claims(summary: Summary) -> list[str]:
    return [said.partition(": ")[2] for said in summary.may_not_claim if "noise" in said or "small difference" in said]


def test_why_a_twin_or_a_control_has_no_figure_is_the_true_cause(tmp_path: Path) -> None:
    """Both sides of it have valid cells in every block."""
    few = summarize(read(synthetic.write(tmp_path / "few", blocks=2, requests=4)))
    assert claims(few) == ["too few answers: a cell needs 5 of one request type"] * 2
    names = {name: synthetic.FORMS[name] for name in ("twin", "ebpf")}
    alone = summarize(read(synthetic.write(tmp_path / "alone", blocks=2, requests=40, forms=names)))
    assert claims(alone) == ["no twin ran", "delay-cpu did not run", "delay-wait did not run"]


def test_cells_without_a_block_in_common_say_what_voids_them(run: Run) -> None:
    late = Gate("late", False, 0.034, 0.02, "7 of 180 sends left late")

    def missed(one: RunCell) -> RunCell:
        lost = {"baseline": range(1, 5), "twin": range(5, 10)}.get(one.cell.form, ())
        gates = (*(g for g in one.cell.gates if g.name != "late"), late)
        return replace(one, cell=replace(one.cell, valid=False, gates=gates)) if one.cell.block in lost else one

    summary = summarize(replace(run, cells=tuple(map(missed, run.cells))))
    why = "no block has a valid cell of both sides (late: 0.034, limit 0.02 (7 of 180 sends left late))"
    assert summary.controls.absent == {"twin": {P50: why}}
    assert f"the size of the noise in median latency: {why}" in summary.may_not_claim
