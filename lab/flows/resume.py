"""A run's directory while it is incomplete: found again by its plan, with the host's events kept in it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Final

from lab.guest.wire import GuestManifest, Plan, dump
from lab.model.errors import PreconditionError, Unreadable
from lab.model.events import GuestEvent, Notice, Record
from lab.model.lab import Lab
from lab.model.paths import GUEST_DIR, HOST_EVENTS_FILE, INCOMPLETE_PREFIX, MANIFEST_FILE, PLAN_FILE
from lab.runs.plan import identity
from lab.runs.sealed import source
from lab.system import documents, store

NEED_BYTES: Final = 64 << 20


def claim(lab: Lab, plan: Plan) -> tuple[Path, Plan]:
    """The directory of this run and its plan: those of a cut run with the same plan, else a new directory.

    Raises PreconditionError where the runs' directory cannot be written or has no room.
    """
    writable(lab)
    for folder in sorted(lab.paths.runs.glob(f"{INCOMPLETE_PREFIX}*"), reverse=True):
        before = _plan_of(folder)
        if before is None or identity(before) != identity(plan):
            continue
        if _ended_empty(folder):
            discard(folder)  # its machine would only say again why nothing was measured, whatever was put right since
        else:
            lab.bus.emit(Notice(level="info", text=f"going on with {before.run_id}, which was cut"))
            return folder, before
    folder = lab.paths.incomplete_run(plan.run_id)
    (folder / GUEST_DIR).mkdir(parents=True, mode=0o700)
    store.write_text(folder / PLAN_FILE, dump(plan))
    return folder, plan


def _ended_empty(folder: Path) -> bool:
    """Sealed by the machine, and no cell in it: over, with nothing to go on with."""
    try:
        return not documents.read(source(folder, f"{GUEST_DIR}/{MANIFEST_FILE}"), GuestManifest).cells
    except Unreadable:
        return False


def _plan_of(folder: Path) -> Plan | None:
    try:
        return documents.read(source(folder, PLAN_FILE), Plan)
    except Unreadable:
        return None


def writable(lab: Lab) -> None:
    """Raises PreconditionError where the runs' directory cannot be written or has no room. Leaves nothing there."""
    runs = lab.paths.runs
    try:
        runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        store.write_text(runs / ".writable", "")
        (runs / ".writable").unlink()
    except OSError as error:
        raise PreconditionError(
            f"{runs} cannot be written: {error}", fix="give --home DIR, a folder of yours"
        ) from error
    free = shutil.disk_usage(runs).free
    if free < NEED_BYTES:
        raise PreconditionError(f"{runs} needs {NEED_BYTES} bytes free, {free} are", fix="lab cache prune")


def discard(folder: Path) -> None:
    """Remove an incomplete run whose answer has been read (proofs of `lab deploy`)."""
    shutil.rmtree(folder, ignore_errors=True)


class Recorder:
    """Keeps the host's records in the run: held until the run has a directory, numbered on after a kill."""

    def __init__(self) -> None:
        self._held: list[Record] = []
        self._path: Path | None = None
        self._base = 0
        self._closed = False

    def into(self, folder: Path) -> None:
        """From now on records go to the run's host-events.jsonl, those held so far first."""
        self._path = folder / HOST_EVENTS_FILE
        records, _ = documents.lines(source(folder, HOST_EVENTS_FILE), Record.from_json)
        self._base = max((record.seq for record in records), default=0)
        held, self._held = self._held, []
        for record in held:
            self(record)

    def close(self) -> None:
        """Nothing is written any more: the file is about to be sealed."""
        self._closed = True

    def __call__(self, record: Record) -> None:
        if self._closed or isinstance(record.event, GuestEvent):
            return
        if self._path is None:
            self._held.append(record)
            return
        store.append_line(self._path, dataclasses.replace(record, seq=self._base + record.seq).to_json(), durable=False)
