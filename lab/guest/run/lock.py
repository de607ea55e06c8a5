"""One run per host: a lock that the kernel drops with its holder, outside every folder that others may remove."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from lab.guest.linux import ending


class Busy(Exception):
    """Another start holds the lock. digest: of its plan; out: its folder."""

    def __init__(self, digest: str, out: str, pid: int) -> None:
        super().__init__("a run is under way in %s (pid %d)" % (out, pid))
        self.digest = digest
        self.out = out
        self.pid = pid


class Lock:
    """Held while the object is open; runs of one host exclude each other, also when the lock file was removed.

    holds: only keeps forms up, and gives way to a run.
    """

    def __init__(self, out: Path, digest: str, *, holds: bool = False) -> None:
        self._runs = ending.runs_of(str(out))
        fd, told = ending.take(), ending.holder()
        tries = 20
        while fd is None and tries and not os.path.exists("/proc/%s" % told.get("pid")):  # whoever only asked
            time.sleep(0.05)
            fd, told, tries = ending.take(), ending.holder(), tries - 1
        if fd is None:
            raise Busy(str(told.get("digest", "")), str(told.get("out", "")), int(told.get("pid", 0)))
        other = _elsewhere(self._runs)
        if other is not None:
            os.close(fd)
            raise Busy("", other.folder(), other.pid)
        self._fd = fd
        os.ftruncate(fd, 0)
        doc = {"digest": digest, "out": str(out), "pid": os.getpid(), "holds": holds}
        os.pwrite(fd, json.dumps(doc).encode(), 0)

    def close(self) -> None:
        ending.forget(self._runs)
        os.close(self._fd)


def holder() -> dict[str, Any]:
    """Who holds the lock now: digest, out, pid, holds; empty when nobody does."""
    told = ending.holder()
    if not os.path.exists("/proc/%s" % told.get("pid")):
        return {}
    fd = ending.take()
    if fd is None:
        return told
    os.close(fd)
    return {}


def _elsewhere(runs: str) -> ending.Process | None:
    """A process of another machine's run on this host, if there is one; the lock cannot tell when it was removed."""
    there, mine, place = ending.processes(), (runs + "/", os.path.realpath(runs) + "/"), ending.RUNTIME_ENV
    for pid in there.keys() - ending.above(there):
        one = there[pid]
        works = one.verb() in ending.LEADERS or ending.OUT_ENV in one.env
        if works and not (one.folder() + "/").startswith(mine) and one.env.get(place) == os.environ.get(place):
            # one that sees another /run is in a container or another mount namespace: another host to us
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat("/proc/%d/root/run" % pid), os.stat("/run")):
                    return one
    return None
