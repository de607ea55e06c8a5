"""Removes a machine, whatever is on disk: by its state, and where that is lost, by the ids that are left of it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from lab.machines import journal, presence, recovery, state
from lab.machines.providers import PROVIDERS
from lab.model.errors import Cancelled, LabError, raise_all
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Handle, MachineSpec
from lab.model.paths import JOURNAL_FILE


def down(lab: Lab, name: str) -> bool:
    """Stop and remove it, from whatever state; only the shared cache stays. False: there was no machine."""
    directory = lab.paths.machine(name)
    if not os.path.lexists(directory) and not _runs(lab, name):
        return False
    with presence.exclusive(lab, name, lab.config.lock_timeout_s):
        existed = state.left(directory) or _runs(lab, name)
        if existed:
            presence.note_down(lab, name)
            if not directory.is_symlink():
                if not directory.is_dir():
                    directory.unlink(missing_ok=True)
                _make_way(directory, [JOURNAL_FILE])
            with lab.bus.step("down", f"remove machine {name}"), journal.entry(lab, name, "down", "delete"):
                presence.end_lost(lab, name)
                _delete(lab, name)
        if directory.is_symlink():
            directory.unlink()  # its target is not ours to empty
        elif directory.exists():
            shutil.rmtree(directory)
    return existed


def _runs(lab: Lab, name: str) -> bool:
    return any(handle.name == name for handle in presence.running(lab))


def down_each(lab: Lab, names: Iterable[str]) -> list[str]:
    """`down` of several; a failure does not stop the others. Returns those that existed.

    Raises the one error, or all errors as a group.
    """
    gone, failed = [], []
    for name in names:
        try:
            gone += [name] if down(lab, name) else []
        except Cancelled:
            raise
        except LabError as error:
            failed.append(error)
    raise_all(failed, "several machines could not be removed")
    return gone


def forget_others(lab: Lab, spec: MachineSpec) -> None:
    """Remove what an unfinished `up` for another machine of this name left: its instance may run and cost money.

    Also removes machines of unreadable state, and those that still run after their folder was emptied by hand.
    """
    found, directory = state.look(lab, spec.name), lab.paths.machine(spec.name)
    begun = found.machine
    others: list[Handle] = []
    if found.problem:
        lab.bus.emit(Notice(level="warning", text=f"{found.problem}; searching all providers for the machine"))
        others += [handle for handle in recovery.handles(spec.name, directory) if handle.provider != spec.provider]
    if begun is not None and begun.handle is None and begun.spec != spec:
        message = f"an earlier command began to create another machine {spec.name} ({begun.spec.provider})"
        lab.bus.emit(Notice(level="info", text=f"{message}; removing what is left of it"))
        others += recovery.handles(spec.name, directory)
    presence.end_lost(lab, spec.name)
    if others:
        with journal.entry(lab, spec.name, "up", "forget"):
            _remove(lab, others)


def _delete(lab: Lab, name: str) -> None:
    found, directory = state.look(lab, name), lab.paths.machine(name)
    machine = found.machine
    if machine is not None and machine.handle is not None:
        handles = [machine.handle]
    else:
        handles = list(recovery.handles(name, directory))
    if found.problem:
        lab.bus.emit(Notice(level="warning", text=f"{found.problem}; searching all providers for the machine"))
    if not directory.is_symlink():
        files = [path.name for path in directory.iterdir()]
        _make_way(directory, [name for name in files if "." in name or name in state.FILES])  # our folders have no dot
    _remove(lab, handles)


def _remove(lab: Lab, handles: Iterable[Handle]) -> None:
    for handle in handles:
        PROVIDERS[handle.provider].delete(lab, handle)


def _make_way(directory: Path, names: Iterable[str]) -> None:
    """Remove anything at these paths that is not a regular file."""
    for path in [directory / name for name in names]:
        try:
            mode = path.lstat().st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode):
            shutil.rmtree(path)
        elif not stat.S_ISREG(mode):
            path.unlink()
