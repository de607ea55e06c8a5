"""Whether a machine is still the one that a command began with, and who took it away.

The lock of a machine and the note of the last `lab down` lie outside its folder: anybody may remove the folder.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.machines import recovery, state
from lab.machines.providers import PROVIDERS
from lab.machines.providers.base import FindsWithoutState
from lab.model.errors import Cancelled, DemoError, LabError, Unreadable
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Handle, Machine
from lab.system import locks, store
from lab.system.documents import Source, read
from lab.system.wait import Deadline


def exclusive(lab: Lab, name: str, timeout_s: float) -> contextlib.AbstractContextManager[None]:
    """Nobody else changes this machine meanwhile. Raises Locked naming who does, after `timeout_s`."""

    def tell(holder: locks.Holder | None) -> None:
        lab.bus.emit(Notice(level="info", text=f"waiting for machine {name}, in use by {holder or 'another command'}"))

    deadline = Deadline.after(timeout_s, lab.cancel)
    return locks.hold(_beside(lab, name, ""), what=f"machine {name}", deadline=deadline, on_wait=tell)


@contextlib.contextmanager
def kept(lab: Lab, machine: Machine) -> Iterator[None]:
    """Nobody takes this machine down inside the block, and nobody has: so nothing is begun on one that was given back.

    Raises Locked, DemoError (it was taken down).
    """
    with exclusive(lab, machine.spec.name, lab.config.lock_timeout_s):
        if (gone := taken_down(lab, machine)) is not None:
            raise gone
        yield


RERUN: Final = "run the command again: it makes the machine and goes on with what is missing"


def taken_down(lab: Lab, machine: Machine, fix: str = RERUN) -> LabError | None:
    """Why this machine is not there any more, or is about to go, when somebody took it; cheap, asks files only."""
    name, found = machine.spec.name, state.look(lab, machine.spec.name).machine
    if machine.handle is None:
        return None
    told = _told(lab, name)
    noted = told is not None and told.machine_id == machine.handle.machine_id
    there = found is not None and found.handle is not None and found.handle.machine_id == machine.handle.machine_id
    if there and not noted:
        return None
    who = f"removed: {lab.paths.machine(name)}"
    if noted and told is not None:
        who = f"taken down by `{told.command}` (pid {told.pid})"
    return DemoError(f"machine {name} was {who}", fix=fix)


@contextlib.contextmanager
def explained(lab: Lab, machine: Machine, fix: str = RERUN) -> Iterator[None]:
    """Whatever fails inside because somebody took the machine down says so, and by whom; `fix`: what helps then."""
    try:
        yield
    except Cancelled:
        raise
    except LabError as error:
        if (gone := taken_down(lab, machine, fix)) is None:
            raise
        raise gone from error


def note_down(lab: Lab, name: str) -> None:
    """From now on whoever works with this machine can tell why that ends."""
    me = {"machine_id": _id(lab, name), "pid": os.getpid(), "at": round(time.time(), 3)}
    me["command"] = shlex.join(["lab", *sys.argv[1:]])
    with contextlib.suppress(OSError):  # it only informs
        store.write_json(_beside(lab, name, ".down"), me)


def forget_down(lab: Lab, name: str) -> None:
    with contextlib.suppress(OSError):
        _beside(lab, name, ".down").unlink(missing_ok=True)


def running(lab: Lab) -> list[Handle]:
    """Machines of this home that run or have a claim, by asking for them alone."""
    found: list[Handle] = []
    for provider in PROVIDERS.values():
        if isinstance(provider, FindsWithoutState):
            found += provider.lost(lab.paths.machines)
    return found


def lost(lab: Lab) -> list[Handle]:
    """Those that go on, although the folder with their state was removed by hand or is another's."""
    return [handle for handle in running(lab) if handle.machine_id != _id(lab, handle.name)]


def names(lab: Lab) -> list[str]:
    """Every machine of this home, also one that goes on although its folder was removed."""
    return sorted({*state.names(lab), *(handle.name for handle in lost(lab))})


def end_lost(lab: Lab, name: str) -> bool:
    """Remove what of such machines is there under this name."""
    found = [handle for handle in lost(lab) if handle.name == name]
    for handle in found:
        text = f"machine {name} still runs, but its folder was removed: it is stopped"
        lab.bus.emit(Notice(level="info", text=text))
        PROVIDERS[handle.provider].delete(lab, handle)
    return bool(found)


def _id(lab: Lab, name: str) -> str:
    """Who the machine in that folder is; "" where none is, or none that its key tells."""
    seed = recovery.by_key(lab.paths.machine(name))
    return "" if seed is None else seed.machine_id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Down:
    """The note of the last `lab down`."""

    machine_id: str
    command: str
    pid: int


def _told(lab: Lab, name: str) -> _Down | None:
    path = _beside(lab, name, ".down")
    try:
        return read(Source(path=path, name=str(path), fix=""), _Down)
    except Unreadable:
        return None


def _beside(lab: Lab, name: str, suffix: str) -> Path:
    lab.paths.machine(name)  # refuses what cannot be a name
    return lab.paths.locks / f"machine-{name}{suffix}"
