"""The directory of an incomplete run: found again by its plan; holds the host's events."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lab.guest.wire import GuestManifest, Plan, WireError, dump
from lab.model.errors import PreconditionError, Unreadable
from lab.model.events import GuestEvent, Notice, Record
from lab.model.facts import MachineFacts
from lab.model.lab import Lab
from lab.model.paths import (
    GUEST_DIR,
    HOST_EVENTS_FILE,
    INCOMPLETE_PREFIX,
    MACHINE_FILE,
    MANIFEST_FILE,
    PLAN_FILE,
)
from lab.runs.plan import identity
from lab.runs.sealed import source
from lab.system import documents, locks, store
from lab.system.wait import Deadline

NEED_BYTES: Final = 64 << 20
BEGUN_S: Final = 60.0  # a folder without a plan may be another command's, which is about to write it


def claim(lab: Lab, plan: Plan, machine: MachineFacts) -> tuple[Path, Plan]:
    """The directory of this run and its plan: those of an interrupted run with the same plan, else a new directory.

    On another machine, or another kernel, a new run begins: one run has the figures of one.
    Raises PreconditionError where the directory of the runs is not writable or has too little space.
    """
    writable(lab)
    for folder in sorted(lab.paths.runs.glob(f"{INCOMPLETE_PREFIX}*"), reverse=True):
        before = _plan_of(folder)
        if not os.path.lexists(folder / PLAN_FILE) and _age_s(folder) > BEGUN_S:
            discard(folder)  # a command was killed when it began, or removed it
        if before is None or identity(before) != identity(plan):
            continue
        if _ended_empty(folder):
            discard(folder)  # its machine would only repeat why nothing was measured, even when that is fixed since
        elif other := _machine_of(folder).unlike(machine):
            said = f"{before.run_id} was interrupted on another machine ({'; '.join(other)}): a new run begins"
            lab.bus.emit(Notice(level="warning", text=said))
        else:
            lab.bus.emit(Notice(level="info", text=f"resuming {before.run_id}, which was interrupted"))
            return folder, before
    folder = lab.paths.incomplete_run(plan.run_id)
    (folder / GUEST_DIR).mkdir(parents=True, mode=0o700)
    store.write_json(folder / MACHINE_FILE, machine.reported)
    store.write_text(folder / PLAN_FILE, dump(plan))
    return folder, plan


@contextlib.contextmanager
def alone(lab: Lab, run_id: str) -> Iterator[None]:
    """Holds the run inside the block: two commands would write the same files. Raises Locked at once."""
    path, now = lab.paths.locks / f"run-{run_id}", Deadline.after(0, lab.cancel)
    with locks.hold(path, what=f"run {run_id}", deadline=now, fix="wait until it ends, then run the command again"):
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # one for each run; Windows keeps an open file
                path.unlink()


def _age_s(folder: Path) -> float:
    """Seconds since something in it was made or removed; 0 for one that does not exist."""
    with contextlib.suppress(OSError):
        return time.time() - folder.stat().st_mtime
    return 0.0


def _ended_empty(folder: Path) -> bool:
    """Whether the machine sealed this run without a cell: it has ended, and there is nothing to resume."""
    try:
        return not documents.read(source(folder, f"{GUEST_DIR}/{MANIFEST_FILE}"), GuestManifest).cells
    except Unreadable:
        return False


def _plan_of(folder: Path) -> Plan | None:
    try:
        return documents.read(source(folder, PLAN_FILE), Plan)
    except Unreadable:
        return None


def _machine_of(folder: Path) -> MachineFacts:
    """The machine that it began on; nothing is known of it where an earlier version began it."""
    try:
        return MachineFacts.of(documents.read(source(folder, MACHINE_FILE), dict[str, object]))
    except (Unreadable, WireError):
        return MachineFacts()


def writable(lab: Lab) -> None:
    """Raises PreconditionError where the directory of the runs is not writable or has too little space."""
    runs = lab.paths.runs
    try:
        runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        store.write_text(runs / ".writable", "")
        (runs / ".writable").unlink()
    except OSError as error:
        raise PreconditionError(f"cannot write {runs}: {error}", fix="set --home DIR to a writable folder") from error
    free = shutil.disk_usage(runs).free
    if free < NEED_BYTES:
        raise PreconditionError(f"{runs} has {free} bytes free, a run needs {NEED_BYTES}", fix="lab cache prune")


def discard(folder: Path) -> None:
    """Remove an incomplete run that is of no more use (the proofs of `lab deploy` after they are read)."""
    shutil.rmtree(folder, ignore_errors=True)


class RunRecorder:
    """Writes the host's records into the run: buffers them until it has a directory, continues numbers after a kill."""

    def __init__(self) -> None:
        self._held: list[Record] = []
        self._path: Path | None = None
        self._base = 0
        self._closed = False

    def into(self, folder: Path) -> None:
        """From now on write records to the run's host-events.jsonl, the buffered ones first."""
        self._path = folder / HOST_EVENTS_FILE
        records, _ = documents.lines(source(folder, HOST_EVENTS_FILE), Record.from_json)
        self._base = max((record.seq for record in records), default=0)
        held, self._held = self._held, []
        for record in held:
            self(record)

    def close(self) -> None:
        """Write nothing any more: the file is about to be sealed."""
        self._closed = True

    def __call__(self, record: Record) -> None:
        if self._closed or isinstance(record.event, GuestEvent):
            return
        if self._path is None:
            self._held.append(record)
            return
        store.append_line(self._path, dataclasses.replace(record, seq=self._base + record.seq).to_json(), durable=False)
