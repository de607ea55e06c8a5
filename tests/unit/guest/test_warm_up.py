"""The first cell of every process life is warm, also where a stop or a rerun lets it begin at a later cell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.guest.linux.waiting import Cancel
from lab.guest.run import cell as cells
from lab.guest.run import run as runs
from lab.guest.run.cell import cell_folder
from lab.guest.run.context import RunContext
from lab.guest.run.journal import Journal
from lab.guest.run.life import Running
from lab.guest.wire import CELL_FILE, CELLS_DIR, AgentSpec, Canary, Cell, CellPlan, Gate, Life, Plan, dump
from tests.simulate.session import CELL
from tests.unit.runs.test_plan import made

STEAL = Gate("steal", False, 0.1, 0.05)
WARM_UP, REQUESTS = 24, 100  # of the scenario shop, and of each of its cells
Sent = tuple[str, str, int, int]  # process life, cell, attempt, warm-up


class Measured:
    """A run of one form without processes: what each cell was sent before its window, and at which rate."""

    def __init__(self, out: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan, *, done: int = 0, bad: str = "") -> None:
        self.sent: list[Sent] = []
        self.rates: list[float] = []
        self.bad, self.warm = bad, 0
        for name in ("work", "cells", "lives"):
            (out / name).mkdir()
        journal = Journal(out)
        unused: Any = SimpleNamespace(source="proc", processes=[])
        self.context = RunContext(plan, out, out / "work", out, journal, unused, unused, Cancel())
        for cell in plan.lives[0].cells[:done]:
            folder = out / CELLS_DIR / cell_folder(cell.id, 1)
            folder.mkdir()
            (folder / CELL_FILE).write_text(dump(self._measured(cell, 1)), encoding="utf-8")
        monkeypatch.setattr(runs, "start_life", self._start)
        monkeypatch.setattr(runs, "prove", lambda _, of: Canary(form=of.form.name, ok=True, reason="", requests=()))
        monkeypatch.setattr(runs, "stop_life", lambda _: {})
        monkeypatch.setattr(runs, "settle", lambda *_: None)
        monkeypatch.setattr(cells, "_loaded", self._loaded)
        monkeypatch.setattr(cells, "result", self._result)
        monkeypatch.setattr(cells, "_sample", lambda *_, **__: None)
        monkeypatch.setattr(cells, "_drained", lambda *_: True)
        monkeypatch.setattr(cells, "is_saturated", lambda *_: False)
        runs._lives(self.context, idle=False)
        journal.close()

    def _start(self, context: RunContext, life: Life, ident: str, work: Path) -> Running:
        sink: Any = SimpleNamespace(rotate=lambda _: True, refused=int, child=SimpleNamespace(ended=str))
        return Running(id=ident, life=life, form=context.form(life.form), work=work, ports={}, sink=sink)

    def _loaded(self, _: RunContext, __: Running, cell: CellPlan, ___: Path, *window: object) -> tuple[object, str]:
        """Of a counted cell, the warm-up is a load of its own."""
        self.warm += cell.warmup_requests if window else cell.requests
        self.rates += [] if window else [cell.rate_rps]
        return {}, ""

    def _result(self, _: RunContext, running: Running, cell: CellPlan, attempt: int, *__: object) -> Cell:
        self.sent.append((running.id, cell.id, attempt, self.warm))
        self.warm = 0
        return self._measured(cell, attempt)

    def _measured(self, cell: CellPlan, attempt: int) -> Cell:
        valid = (cell.id, attempt) != (self.bad, 1)
        return replace(CELL, id=cell.id, attempt=attempt, valid=valid, gates=() if valid else (STEAL,))


def one_form(form: str, **change: object) -> Plan:
    """The first life of one form."""
    counted = {"clock": "counted", "profile": "stage", "cpus": 1, "rate_rps": 80.0, "requests": REQUESTS}
    plan = made("r", **{**counted, **change})
    agent = AgentSpec(binary="bin/agent", sha256="3" * 64, argv=()) if form == "ebpf" else None
    life = next(life for life in plan.lives if life.form == form)
    return replace(plan, lives=(life,), forms={form: replace(plan.forms[form], agent=agent)})


@pytest.mark.parametrize("form", ["baseline", "ebpf"])
def test_undisturbed_only_the_first_cell_of_a_life_is_warmed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    sent = Measured(tmp_path, monkeypatch, one_form(form)).sent
    assert [warm for *_, warm in sent] == [WARM_UP] + [0] * (len(sent) - 1)


def test_a_life_that_goes_on_after_a_stop_is_warmed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It began with the slow cell of the first block: the standing cost had the cold start of the process."""
    measured = Measured(tmp_path, monkeypatch, one_form("baseline"), done=1)
    assert measured.sent[0] == ("1-baseline.1", "01-baseline-slow", 1, WARM_UP)
    assert {warm for *_, warm in measured.sent[1:]} == {0}
    assert measured.rates == [80.0], "as fast as ever"


def test_a_cell_that_is_run_again_is_warmed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Measured(tmp_path, monkeypatch, one_form("baseline"), bad="04-baseline-fast").sent
    assert sent[-1] == ("1-baseline.2", "04-baseline-fast", 2, WARM_UP)


def test_an_agent_is_sent_what_the_plan_has_before_the_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its map of calls fills up over several cells: in a fresh one it sends more spans of each request."""
    sent = Measured(tmp_path, monkeypatch, one_form("ebpf"), done=3, bad="07-ebpf-fast").sent
    assert sent[0] == ("1-ebpf.1", "03-ebpf-fast", 1, WARM_UP + 3 * REQUESTS)
    assert {warm for *_, warm in sent[1:-1]} == {0}
    assert sent[-1] == ("1-ebpf.2", "07-ebpf-fast", 2, WARM_UP + 7 * REQUESTS)


def test_on_the_clock_of_the_machine_each_cell_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = one_form("ebpf", clock="real", levels=(2.0, 4.0, 6.0), emulated=False)
    assert {warm for *_, warm in Measured(tmp_path, monkeypatch, plan, done=1).sent} == {WARM_UP}


def test_a_search_that_goes_on_after_a_stop_is_warmed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = one_form("ebpf", clock="real", emulated=False, levels=(2.0, 4.0, 6.0))
    (life,) = plan.lives
    rest = [replace(cell, warmup_requests=0) for cell in life.cells[1:]]
    searching = replace(plan, lives=(replace(life, cells=(life.cells[0], *rest)),), rerun_invalid=False)
    sent = Measured(tmp_path, monkeypatch, searching, done=1).sent
    assert [warm for *_, warm in sent] == [WARM_UP, 0]
