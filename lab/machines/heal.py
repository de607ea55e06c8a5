"""Recovers a hung machine: resumes it where possible, else restarts it, a limited number of times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lab.machines import hang, journal, state, steps
from lab.machines.free import freed
from lab.machines.hang import Hung
from lab.model.errors import ProvisioningError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Machine, Observed
from lab.model.paths import SERIAL_LOG

RESTARTS: Final = 3
FREED: Final = 5  # at most; a machine that hangs again at once is not cured by it


def healed(
    lab: Lab, machine: Machine, current: Observed, act: Callable[[Machine], Machine], *, keep: bool = False
) -> Machine:
    """The result of `act`, after recovering the machine from every hang before and during it. `current`: its state now.

    keep: a machine that was ready is resumed or Hung is raised: a restart would lose what runs in it.

    Raises ProvisioningError when it still hangs after RESTARTS restarts, and what `act` raises.
    """
    restarts = frees = 0
    hung = hang.error(machine.spec.name, current) if current.phase == "hung" else None
    while True:
        if hung is None:
            try:
                return act(machine)
            except Hung as error:
                hung = error
                machine = state.load(lab, machine.spec.name) or machine
        provider, handle = steps.provider_of(machine), machine.handle
        if handle is not None and frees < FREED and freed(lab, provider, handle, hung):
            frees += 1
            hung = None
            continue
        if keep and machine.ready_boot_id:
            raise hung
        if restarts == RESTARTS:
            log = str(lab.paths.machine(machine.spec.name) / SERIAL_LOG)
            message = f"{hung.message}; it hung again after each of {RESTARTS} restarts"
            raise ProvisioningError(message, fix="lab down, then lab up --cpus 1", log=log)
        restarts += 1
        _end(lab, machine, hung, restarts)
        hung = None


def _end(lab: Lab, machine: Machine, hung: Hung, number: int) -> None:
    text = f"{hung.message}; restarting it ({number} of at most {RESTARTS})"
    if machine.ready_boot_id:
        text += "; finished parts of a run are on its disk, the rest is lost: run lab demo again to continue"
    lab.bus.emit(Notice(level="warning", text=text))
    assert machine.handle is not None
    with journal.entry(lab, machine.spec.name, "up", "end_hung"):
        steps.provider_of(machine).stop(lab, machine.handle)
