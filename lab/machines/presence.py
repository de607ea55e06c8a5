"""Whether a machine is still the one that a command began with, and which command took it down.

The lock of a machine and the record of the last `lab down` are outside its folder: anybody may remove the folder.
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
    """Holds the lock of this machine. After `timeout_s` raises Locked, which names the holder."""

    def tell(holder: locks.Holder | None) -> None:
        lab.bus.emit(Notice(level="info", text=f"waiting for machine {name}, in use by {holder or 'another command'}"))

    deadline = Deadline.after(timeout_s, lab.cancel)
    return locks.hold(_beside(lab, name, ""), what=f"machine {name}", deadline=deadline, on_wait=tell)


@contextlib.contextmanager
def kept(lab: Lab, machine: Machine) -> Iterator[None]:
    """Holds the machine's lock inside the block, after checking that it was not taken down.

    Raises Locked, DemoError (it was taken down).
    """
    with exclusive(lab, machine.spec.name, lab.config.lock_timeout_s):
        if (gone := taken_down(lab, machine)) is not None:
            raise gone
        yield


RERUN: Final = "run the command again: it creates the machine and continues"


def taken_down(lab: Lab, machine: Machine, fix: str = RERUN) -> LabError | None:
    """The error when this machine was removed or is being taken down, else None; cheap, reads files only."""
    name, found = machine.spec.name, state.look(lab, machine.spec.name).machine
    if machine.handle is None:
        return None
    record = _last_down(lab, name)
    recorded = record is not None and record.machine_id == machine.handle.machine_id
    exists = found is not None and found.handle is not None and found.handle.machine_id == machine.handle.machine_id
    if exists and not recorded:
        return None
    how = f"removed: {lab.paths.machine(name)} is missing"
    if recorded and record is not None:
        how = f"taken down by `{record.command}` (pid {record.pid})"
    return DemoError(f"machine {name} was {how}", fix=fix)


@contextlib.contextmanager
def explained(lab: Lab, machine: Machine, fix: str = RERUN) -> Iterator[None]:
    """When the machine was taken down, any error inside becomes `taken_down`'s, with this `fix`."""
    try:
        yield
    except Cancelled:
        raise
    except LabError as error:
        if (gone := taken_down(lab, machine, fix)) is None:
            raise
        raise gone from error


def note_down(lab: Lab, name: str) -> None:
    """Record this `lab down`, so that commands that use this machine can report why it ended."""
    me = {"machine_id": _id(lab, name), "pid": os.getpid(), "at": round(time.time(), 3)}
    me["command"] = shlex.join(["lab", *sys.argv[1:]])
    with contextlib.suppress(OSError):  # it only informs
        store.write_json(_beside(lab, name, ".down"), me)


def forget_down(lab: Lab, name: str) -> None:
    with contextlib.suppress(OSError):
        _beside(lab, name, ".down").unlink(missing_ok=True)


def running(lab: Lab) -> list[Handle]:
    """Machines of this home that run or have a claim, found without their stored state."""
    found: list[Handle] = []
    for provider in PROVIDERS.values():
        if isinstance(provider, FindsWithoutState):
            found += provider.lost(lab.paths.machines)
    return found


def lost(lab: Lab) -> list[Handle]:
    """Those that still run although their state folder was removed by hand or is another machine's."""
    return [handle for handle in running(lab) if handle.machine_id != _id(lab, handle.name)]


def names(lab: Lab) -> list[str]:
    """Every machine of this home, also one that still runs after its folder was removed."""
    return sorted({*state.names(lab), *(handle.name for handle in lost(lab))})


def end_lost(lab: Lab, name: str) -> bool:
    """Remove such machines of this name."""
    found = [handle for handle in lost(lab) if handle.name == name]
    for handle in found:
        text = f"machine {name} still runs, but its folder was removed: it is stopped"
        lab.bus.emit(Notice(level="info", text=text))
        PROVIDERS[handle.provider].delete(lab, handle)
    return bool(found)


def _id(lab: Lab, name: str) -> str:
    """The id of the machine in that folder; "" without a readable host key."""
    seed = recovery.by_key(lab.paths.machine(name))
    return "" if seed is None else seed.machine_id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Down:
    """The record of the last `lab down`."""

    machine_id: str
    command: str
    pid: int


def _last_down(lab: Lab, name: str) -> _Down | None:
    path = _beside(lab, name, ".down")
    try:
        return read(Source(path=path, name=str(path), fix=""), _Down)
    except Unreadable:
        return None


def _beside(lab: Lab, name: str, suffix: str) -> Path:
    lab.paths.machine(name)  # refuses what cannot be a name
    return lab.paths.locks / f"machine-{name}{suffix}"
