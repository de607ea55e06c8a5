"""A show made ready to be driven: its beats for the slot, its machine, and the lock that keeps a second show away."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from lab.model.errors import UsageError
from lab.model.lab import Lab
from lab.stage.engine import Engine
from lab.stage.machine import LiveMachine
from lab.stage.show import Beat, Show
from lab.stage.stand import Stand
from lab.system import locks
from lab.system.wait import Deadline


@contextlib.contextmanager
def opened(lab: Lab, show: Show, *, minutes: float | None = None) -> Iterator[Engine]:
    """The engine of a show on this command's machine. Raises Locked where another show is on it."""
    beats = _beats(show, minutes)
    machine = lab.config.machine.name
    now = Deadline.after(0, lab.cancel)
    fix = "end that show, or give another machine: --name NAME"
    with locks.hold(lab.paths.locks / f"show-{machine}", what=f"the stage of machine {machine}", deadline=now, fix=fix):
        cast = LiveMachine(lab=lab, machine=machine, asked=show.asked)
        stand = Stand(lab=lab, show=show, cast=cast)
        yield Engine(stand=stand, beats=beats, slot_s=(minutes or show.keys.slot_min) * 60)


def _beats(show: Show, minutes: float | None) -> tuple[Beat, ...]:
    slots = (show.keys.slot_min, *map(float, show.keys.cuts_min))
    if minutes is not None and minutes not in slots:
        known = ", ".join(f"{slot:g}" for slot in slots)
        raise UsageError(f"--minutes {minutes:g} is no slot of show {show.name}", fix=f"give one of {known}")
    return show.within(minutes or show.keys.slot_min)
