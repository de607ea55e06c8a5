"""Whether a machine is still the one that a command began with, and who took it away.

The lock of a machine and the note of the last `lab down` lie outside its folder: anybody may remove the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.machines import keys, state
from lab.machines.providers import PROVIDERS
from lab.model.errors import DemoError, LabError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Handle, Machine
from lab.model.paths import HOST_KEY_FILE
from lab.system import locks, store
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


def taken_down(lab: Lab, machine: Machine) -> LabError | None:
    """Why this machine is not there any more, or is about to go, when somebody took it; cheap, asks files only."""
    name, found = machine.spec.name, state.load(lab, machine.spec.name)
    if machine.handle is None:
        return None
    told = _told(lab, name)
    noted = told.get("machine_id") == machine.handle.machine_id
    there = found is not None and found.handle is not None and found.handle.machine_id == machine.handle.machine_id
    if there and not noted:
        return None
    who = f"taken down by `{told['command']}` (pid {told['pid']})" if noted else f"removed: {lab.paths.machine(name)}"
    fix = "run the command again: it makes the machine and goes on with what is missing"
    return DemoError(f"machine {name} was {who}", fix=fix)


def note_down(lab: Lab, name: str) -> None:
    """From now on whoever works with this machine can tell why that ends."""
    me = {"machine_id": _id(lab, name), "pid": os.getpid(), "at": round(time.time(), 3)}
    me["command"] = shlex.join(["lab", *sys.argv[1:]])
    store.write_json(_beside(lab, name, ".down"), me)


def forget_down(lab: Lab, name: str) -> None:
    _beside(lab, name, ".down").unlink(missing_ok=True)


def lost(lab: Lab) -> list[Handle]:
    """Machines of this home that go on, although the folder with their state was removed by hand or is another's."""
    found: list[Handle] = []
    for provider in PROVIDERS.values():
        ask = getattr(provider, "lost", None)  # optional: where the machine itself can be asked for its folder
        found += [] if ask is None else ask(lab.paths.machines)
    return [handle for handle in found if handle.machine_id != _id(lab, handle.name)]


def end_lost(lab: Lab, name: str) -> bool:
    """Remove what of such machines is there under this name."""
    found = [handle for handle in lost(lab) if handle.name == name]
    for handle in found:
        text = f"machine {name} goes on, but its folder was removed: it is ended"
        lab.bus.emit(Notice(level="info", text=text))
        PROVIDERS[handle.provider].delete(lab, handle)
    return bool(found)


def _id(lab: Lab, name: str) -> str:
    """Who the machine in that folder is; "" where none is."""
    directory = lab.paths.machine(name)
    return keys.seed(directory).machine_id if (directory / HOST_KEY_FILE).exists() else ""


def _told(lab: Lab, name: str) -> dict[str, Any]:
    try:
        found = json.loads(_beside(lab, name, ".down").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and {"machine_id", "command", "pid"} <= found.keys() else {}


def _beside(lab: Lab, name: str, suffix: str) -> Path:
    lab.paths.machine(name)  # refuses what cannot be a name
    return lab.paths.locks / f"machine-{name}{suffix}"
