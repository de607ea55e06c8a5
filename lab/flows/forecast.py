"""How long the cells of a plan will take where nothing else runs, from the fastest of the newest whole runs like it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.flows import report
from lab.guest.wire import COUNTED, GuestManifest, Plan
from lab.model import figures
from lab.model.errors import Unreadable
from lab.model.events import Notice, Record, StepFinished, StepStarted
from lab.model.lab import Lab
from lab.model.machine import Machine
from lab.model.mix import never_sent
from lab.model.paths import GUEST_DIR, HOST_EVENTS_FILE, MANIFEST_FILE, PLAN_FILE
from lab.model.run import RunManifest
from lab.runs.sealed import source
from lab.system import documents

NEWEST: Final = 10  # complete runs that are looked at: an older one may be of another lab
STEP: Final = "run"  # the step of a demo that runs all cells
# Host seconds that a life takes beside load and waits of its cells (start, proof, stop), seen on two quiet CPUs.
BESIDE_LOAD_S: Final[dict[str, float]] = {"emulated": 31.0, "native": 11.0}
# A counted cell takes the host what it executes: so many seconds for a second of the service's work, for what is beside
# it with each request, and for each cell.
WORK_S, BESIDE_REQUEST_S, CELL_S = 4.0, 0.003, 0.8
REQUEST_MS: Final = 1.0  # of work, where the scenario does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Host seconds for all cells; by: the run that they come from, "" for a rough guess."""

    seconds: float
    by: str = ""

    def text(self) -> str:
        basis = f"as cells of run {self.by} took" if self.by else "a rough guess: no such run on this host yet"
        return f"the cells take about {figures.seconds(self.seconds)} where nothing else runs ({basis})"


def tell(lab: Lab, plan: Plan, machine: Machine, *, emulated: bool, request_ms: float = 0.0) -> None:
    """Say what is about to run, and for how long.

    request_ms: what a request costs the baseline of a counted run; 0: unknown.
    """
    cells = [cell for life in plan.lives for cell in life.cells]
    rates = " and ".join(figures.amount(rate) for rate in sorted({cell.rate_rps for cell in cells}))
    size = f"{len(plan.forms)} forms, {len(cells)} cells at {rates} requests/s, seed {plan.seed}"
    here = {"provider": machine.spec.provider, "acceleration": machine.accel}
    expected = of(lab, plan, **here, emulated=emulated, request_ms=request_ms)
    lab.bus.emit(Notice(level="info", text=f"run {plan.run_id}: {size}"))
    lab.bus.emit(Notice(level="info", text=expected.text()))
    if unsent := never_sent(plan):
        text = f"too few requests for every type of the mix: no cell sends {' or '.join(unsent)}"
        lab.bus.emit(Notice(level="warning", text=f"{text}; for those too, raise --rate or take a longer profile"))


def of(lab: Lab, plan: Plan, *, provider: str, acceleration: str, emulated: bool, request_ms: float = 0.0) -> Forecast:
    """The forecast for `plan`: the time of its load, the waits after each cell, and for each life what one took beside
    them in an earlier run of this clock and kind of machine. A run of the same scenario comes before one of another,
    then one of the same forms, then the fastest: others had a busier host.

    A counted run takes as long as one of its scenario took, by the number of requests.
    """
    counted = plan.clock == COUNTED
    usual_s = BESIDE_LOAD_S["emulated" if emulated else "native"]
    found: list[tuple[bool, bool, float, str]] = []
    for directory in report.complete(lab.paths)[-NEWEST:]:
        try:
            manifest = documents.read(source(directory, MANIFEST_FILE), RunManifest)
            before = documents.read(source(directory, PLAN_FILE), Plan)
            sealed = documents.read(source(directory, f"{GUEST_DIR}/{MANIFEST_FILE}"), GuestManifest)
        except Unreadable:
            continue
        like = (manifest.provider, manifest.acceleration, before.clock) == (provider, acceleration, plan.clock)
        taken_s = _taken_s(directory) if like and _whole(before, sealed) else None
        if taken_s is not None:
            other, unlike = before.scenario != plan.scenario, set(before.forms) != set(plan.forms)
            if not counted:
                found.append((other, unlike, max(0.0, taken_s - _load_s(before)) / len(before.lives), manifest.run_id))
            elif not other:
                found.append((other, unlike, taken_s / _requests(before), manifest.run_id))
    if counted:
        _, _, each_s, by = min(found, default=(False, False, _guess_s(plan, request_ms), ""))
        return Forecast(seconds=_requests(plan) * each_s, by=by)
    _, _, beside_s, by = min(found, default=(False, False, usual_s, ""))
    return Forecast(seconds=_load_s(plan) + len(plan.lives) * beside_s, by=by)


def _guess_s(plan: Plan, request_ms: float) -> float:
    """Host seconds for a request of a counted run."""
    cells = sum(len(life.cells) for life in plan.lives)
    work_s = (request_ms or REQUEST_MS) / 1e3 * WORK_S
    return work_s + BESIDE_REQUEST_S + cells * CELL_S / _requests(plan)


def _requests(plan: Plan) -> int:
    """Of all cells, with those that warm them up."""
    return sum(cell.warmup_requests + cell.requests for life in plan.lives for cell in life.cells)


def _load_s(plan: Plan) -> float:
    """Of all cells, with the waits for still spans and for the next cell."""
    cells = [cell for life in plan.lives for cell in life.cells]
    waits_s = plan.timeouts.quiet_s + plan.timeouts.idle_s
    return sum((cell.warmup_requests + cell.requests) / cell.rate_rps + waits_s for cell in cells)


def _whole(plan: Plan, sealed: GuestManifest) -> bool:
    """Whether the run has each cell of its plan: one that ended early was quick."""
    planned = {cell.id for life in plan.lives for cell in life.cells}
    return bool(planned) and sealed.outcome == "complete" and planned.issubset(sealed.cells)


def _taken_s(directory: Path) -> float | None:
    """Host seconds of all cells of a run; None for one that was interrupted, whose time is not known."""
    records, _ = documents.lines(source(directory, HOST_EVENTS_FILE), Record.from_json)
    began = [r.at for r in records if isinstance(r.event, StepStarted) and r.event.name == STEP]
    ended = [r.at for r in records if isinstance(r.event, StepFinished) and r.event.name == STEP]
    return ended[0] - began[0] if len(began) == len(ended) == 1 else None
