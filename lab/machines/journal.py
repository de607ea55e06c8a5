"""The steps that a command began and finished on a machine: append-only, synced, read by the next command.

The journal tells people where a command was interrupted. It never decides what to do next: each step inspects the
machine itself. Where it cannot be written, such as on a full disk, no command ends for that: `lab down` frees the disk.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.guest.wire import decode
from lab.model.errors import Unreadable
from lab.model.lab import Lab
from lab.model.paths import JOURNAL_FILE
from lab.system import documents, store
from lab.system.documents import Source


def path(lab: Lab, name: str) -> Path:
    return lab.paths.machine(name) / JOURNAL_FILE


@contextlib.contextmanager
def entry(lab: Lab, name: str, command: str, step: str) -> Iterator[None]:
    """Write the intent, run the block, write the outcome: done, or failed when it raises; a kill leaves none."""
    began = time.monotonic()
    record: dict[str, Any] = {"command": command, "step": step}
    _append(lab, name, record | {"state": "intent"})
    try:
        yield
    except BaseException as error:
        seconds = round(time.monotonic() - began, 3)
        _append(lab, name, record | {"state": "failed", "seconds": seconds, "why": type(error).__name__})
        raise
    _append(lab, name, record | {"state": "done", "seconds": round(time.monotonic() - began, 3)})


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLine:
    """One line: a step that a command began, or how it ended."""

    command: str
    step: str
    state: str  # intent | done | failed


def interrupted(lines: Sequence[JournalLine]) -> str | None:
    """The last step if it has no outcome: its command was killed there."""
    return lines[-1].step if lines and lines[-1].state == "intent" else None


def read(lab: Lab, name: str) -> tuple[JournalLine, ...]:
    """The readable lines; () when the file cannot be read: the journal is only informative."""
    at = path(lab, name)
    try:
        return documents.lines(Source(path=at, name=str(at), fix=""), lambda doc: decode(JournalLine, doc))[0]
    except Unreadable:
        return ()


def _append(lab: Lab, name: str, record: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        store.append_line(path(lab, name), {"at": round(time.time(), 3), **record}, durable=True)
