"""A run whose machine was started again in the middle says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.model.run import Run
from lab.runs.read import read
from lab.verdict import summarize
from tests.unit.report import synthetic


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return read(synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=60))


def test_the_cells_of_each_boot_are_counted(run: Run) -> None:
    last = max(run.cells, key=lambda one: one.cell.window_start_ns)
    moved = replace(last, cell=replace(last.cell, boot_id="boot-2"))
    later = replace(run, cells=tuple(moved if one is last else one for one in run.cells))
    said = f"the machine was started again during this run: {len(run.cells) - 1} cells, then 1 cell"
    assert any(one.startswith(said) for one in summarize(later).problems)
    assert not any("started again" in one for one in summarize(run).problems)


def test_facts_of_another_machine_at_the_end_are_told(tmp_path: Path) -> None:
    root = synthetic.write(tmp_path / "run", requests=20)
    manifest = root / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"guest": {}', '"guest": {"kernel": "6.12", "cpus": 2}'))
    problems = read(synthetic.seal(root)).problems
    assert problems == ("the run went on on another machine: kernel 6.1.0-41-amd64, then 6.12",)
