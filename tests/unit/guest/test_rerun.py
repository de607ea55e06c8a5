"""Which cells are run a second time."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from lab.guest.linux.accounts import Accounts
from lab.guest.linux.child import ChildProcesses
from lab.guest.linux.waiting import Cancel
from lab.guest.run.cell import cell_folder
from lab.guest.run.context import RunContext
from lab.guest.run.done import next_attempt
from lab.guest.run.journal import Journal
from lab.guest.wire import CELL_FILE, CELLS_DIR, REQUESTS_FILE, Gate, Plan, dump
from tests.simulate.session import CELL
from tests.unit.report import synthetic

LIMIT_S = 3
COMPLETED = Gate("completed", False, 0.5, 0.995, "completed ÷ scheduled")
DEAD = Gate("service_alive", False, 0.0, 1.0, "service shop killed by signal 9")


def rows(took_s: float) -> list[tuple[int, int]]:
    """End and status of 200 requests, 0.1 s apart, at a service that answers one after the other."""
    free, out = 0.0, []
    for at in range(200):
        free = max(free, at / 10) + took_s
        given_up = free - at / 10 > LIMIT_S
        out.append((round((at / 10 + LIMIT_S if given_up else free) * 1e9), -1 if given_up else 200))
    return out


@pytest.mark.parametrize(
    ("took_s", "gate", "attempt"),
    [
        (0.2, COMPLETED, 0),  # saturated
        (0.05, COMPLETED, 2),  # something else
        (0.2, DEAD, 2),
    ],
)
def test_a_saturated_cell_is_not_run_again(tmp_path: Path, took_s: float, gate: Gate, attempt: int) -> None:
    assert after_one(tmp_path, synthetic.plan(), took_s, gate) == attempt


@pytest.mark.parametrize(("gate", "attempt"), [(COMPLETED, 0), (DEAD, 2)])
def test_in_a_search_only_a_rate_at_which_a_process_died_is_tried_again(
    tmp_path: Path, gate: Gate, attempt: int
) -> None:
    plan = replace(synthetic.plan(), rerun_invalid=False, until_saturated=True)
    assert after_one(tmp_path, plan, 0.05, gate) == attempt


def after_one(tmp_path: Path, plan: Plan, took_s: float, gate: Gate) -> int:
    """What is next for a cell with one attempt that missed this gate."""
    life = plan.lives[0]
    (cell,) = life.cells
    folder = tmp_path / CELLS_DIR / cell_folder(cell.id, 1)
    folder.mkdir(parents=True)
    measured = replace(CELL, id=cell.id, form=life.form, valid=False, gates=(gate,))
    (folder / CELL_FILE).write_text(dump(measured), encoding="utf-8")
    with gzip.open(folder / REQUESTS_FILE, "wt", encoding="utf-8") as out:
        out.write("intended_ns,start_ns,end_ns,status,type,request_id,trace_id\n")
        out.writelines(
            f"{at * 10**8},{at * 10**8},{end},{status},get,,\n" for at, (end, status) in enumerate(rows(took_s))
        )
    journal = Journal(tmp_path)
    nothing = cast("Accounts", None), cast("ChildProcesses", None)  # a look at what is done starts no process
    context = RunContext(plan, tmp_path, tmp_path, tmp_path, journal, *nothing, Cancel())
    attempt = next_attempt(context, cell)
    journal.close()
    return attempt
