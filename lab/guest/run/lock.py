"""One run per host: a lock that the kernel releases with its holder, outside every folder that may be removed."""

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
        super().__init__("a run is in progress in %s (pid %d)" % (out, pid))
        self.digest = digest
        self.out = out
        self.pid = pid


class Lock:
    """Held while the object is open; excludes all other runs on this host, also when the lock file was removed.

    standby: this is the standby process, which stops for a run.
    """

    def __init__(self, out: Path, digest: str, *, standby: bool = False) -> None:
        self._runs = ending.runs_of(str(out))
        fd, other = ending.take(), ending.holder()
        tries = 20
        while fd is None and tries and not os.path.exists("/proc/%s" % other.get("pid")):  # a probe has it for a moment
            time.sleep(0.05)
            fd, other, tries = ending.take(), ending.holder(), tries - 1
        if fd is None:
            raise Busy(str(other.get("digest", "")), str(other.get("out", "")), int(other.get("pid", 0)))
        stranger = _elsewhere(self._runs)
        if stranger is not None:
            os.close(fd)
            raise Busy("", stranger.folder(), stranger.pid)
        self._fd = fd
        os.ftruncate(fd, 0)
        doc = {"digest": digest, "out": str(out), "pid": os.getpid(), "standby": standby}
        os.pwrite(fd, json.dumps(doc).encode(), 0)

    def close(self) -> None:
        ending.forget(self._runs)
        os.close(self._fd)


def holder() -> dict[str, Any]:
    """The holder of the lock: digest, out, pid, standby; empty when it is free."""
    found = ending.holder()
    if not os.path.exists("/proc/%s" % found.get("pid")):
        return {}
    fd = ending.take()
    if fd is None:
        return found
    os.close(fd)
    return {}


def _elsewhere(runs: str) -> ending.Process | None:
    """A process of another machine's run on this host; needed when the lock file was removed."""
    running, mine, place = ending.processes(), (runs + "/", os.path.realpath(runs) + "/"), ending.RUNTIME_ENV
    for pid in running.keys() - ending.above(running):
        one = running[pid]
        works = one.verb() in ending.LEADERS or ending.OUT_ENV in one.env
        if works and not (one.folder() + "/").startswith(mine) and one.env.get(place) == os.environ.get(place):
            # a process with another /run is in a container or mount namespace: another host to us
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat("/proc/%d/root/run" % pid), os.stat("/run")):
                    return one
    return None
