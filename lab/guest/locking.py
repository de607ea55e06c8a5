"""One run per machine: a lock that the kernel drops with its holder, beside the run folders."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from lab.guest.seal import LOCK_FILE


class Busy(Exception):
    """Another start holds the lock. digest: of its plan; out: its folder."""

    def __init__(self, digest: str, out: str, pid: int) -> None:
        super().__init__("a run is under way in %s (pid %d)" % (out, pid))
        self.digest = digest
        self.out = out
        self.pid = pid


class Lock:
    """Held while the object is open. The file lies beside the run folder, so runs of one machine exclude each other.

    holds: only keeps forms up, and gives way to a run.
    """

    def __init__(self, out: Path, digest: str, *, holds: bool = False) -> None:
        path = lock_path(out)
        self._fd = os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(self._fd)
            os.close(self._fd)
            raise Busy(str(holder.get("digest", "")), str(holder.get("out", "")), int(holder.get("pid", 0))) from None
        os.ftruncate(self._fd, 0)
        doc = {"digest": digest, "out": str(out), "pid": os.getpid(), "holds": holds}
        os.pwrite(self._fd, json.dumps(doc).encode(), 0)

    def close(self) -> None:
        os.ftruncate(self._fd, 0)
        os.close(self._fd)


def lock_path(out: Path) -> Path:
    """Beside the run folders: RUNS/ID/guest and RUNS/ID both give RUNS/.lab-guest.lock."""
    runs = out.parent.parent if out.name == "guest" else out.parent
    return runs / (".lab-guest." + LOCK_FILE)


def holder(out: Path) -> dict[str, Any]:
    """Who holds the lock now: digest, out, pid, holds; empty when nobody does."""
    try:
        fd = os.open(str(lock_path(out)), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return _holder(fd)
    finally:
        os.close(fd)
    return {}


def _holder(fd: int) -> dict[str, Any]:
    try:
        doc = json.loads(os.pread(fd, 65536, 0))
    except ValueError:
        return {}
    return doc if isinstance(doc, dict) else {}
