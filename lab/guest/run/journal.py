"""Events and state of the guest half: events are appended, one line each; the state file is replaced."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from pathlib import Path
from typing import Any

from lab.guest.linux.atomic_files import write_text
from lab.guest.linux.ending import content
from lab.guest.linux.procfs import boot_id, start_ticks
from lab.guest.wire import EVENTS_FILE, STATE_FILE, GuestRecord, GuestState, dump, load

EVENTS_MOST = 256 << 20  # bytes of events.jsonl that are read
RESERVE_FILE = ".reserve"
RESERVE = 256 << 10  # bytes: others write to a full disk too


class Journal:
    """events.jsonl. A record's identity is (boot id, seq); seq continues after a killed start.

    Each line is one write, so a kill never truncates one; one truncated by a power loss or a full disk is ended, and
    readers skip it.
    """

    SYNCED = frozenset(("state", "proof", "cell", "failed", "done"))

    def __init__(self, out: Path) -> None:
        self.path = out / EVENTS_FILE
        self.boot = boot_id()
        self.seq, self._torn = _last_seq(self.path)
        self._reserve = out / RESERVE_FILE
        self._fd = os.open(str(self.path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def emit(self, kind: str, /, **data: Any) -> None:
        """Raises OSError, as on a full disk."""
        self.seq += 1
        record = GuestRecord(seq=self.seq, at_ns=time.time_ns(), boot_id=self.boot, kind=kind, data=data)
        line = ("\n" * self._torn + dump(record) + "\n").encode()
        written = os.write(self._fd, line)
        if written < len(line):
            self._torn = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._torn = False
        if kind in self.SYNCED:
            os.fsync(self._fd)

    def reserve(self) -> None:
        """Keep space for the last words on a full disk, if there is any."""
        if not self._reserve.exists():
            with contextlib.suppress(OSError):
                self._reserve.write_bytes(bytes(RESERVE))

    def emit_last(self, kind: str, /, **data: Any) -> bool:
        """Emit, if need be with the space that is reserved; whether it could be written."""
        for attempt in (1, 2):
            try:
                self.emit(kind, **data)
            except OSError:
                if attempt == 1:
                    self._reserve.unlink(missing_ok=True)
                continue
            return True
        return False

    def close(self) -> None:
        os.fsync(self._fd)
        os.close(self._fd)


def _last_seq(path: Path) -> tuple[int, bool]:
    """Highest number in the file, and whether its last line is truncated."""
    if not path.exists():
        return 0, False
    data = content(str(path), EVENTS_MOST)
    last = 0
    for line in data.splitlines():
        try:
            last = max(last, int(json.loads(line)["seq"]))
        except (ValueError, KeyError, TypeError):
            continue
    return last, bool(data) and not data.endswith(b"\n")


def write_state(out: Path, digest: str, phase: str, done: int, total: int, reason: str = "") -> None:
    """Replace state.json with this process's state."""
    state = GuestState(
        plan_digest=digest,
        pid=os.getpid(),
        start_ticks=start_ticks(os.getpid()) or 0,
        boot_id=boot_id(),
        phase=phase,
        cells_done=done,
        cells_total=total,
        reason=reason,
    )
    write_text(out / STATE_FILE, dump(state) + "\n")


def read_state(out: Path) -> GuestState | None:
    try:
        return load(GuestState, content(str(out / STATE_FILE)))
    except (OSError, ValueError):
        return None
