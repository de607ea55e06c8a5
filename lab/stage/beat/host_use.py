"""How much CPU of this host others use while a machine on it is measured: under emulation no clock inside tells."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import psutil

IDLE = ("idle", "iowait", "guest", "guest_nice")  # guest time is within user time


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUse:
    """CPU seconds of this host so far: in all, busy, and of the machine and of us."""

    total_s: float
    busy_s: float
    own_s: dict[int, float]  # by pid; of a process of our family with what its children used before they ended
    wait_s: dict[int, float] = field(default_factory=dict)  # in which threads had no CPU to run on; of Linux
    family: frozenset[int] = frozenset()  # us, and what we started

    @staticmethod
    def now(folder: Path) -> HostUse | None:
        """The machine's processes are those that name its folder; None where there is none: it is elsewhere, or us."""
        times = psutil.cpu_times()._asdict()
        total = sum(seconds for name, seconds in times.items() if not name.startswith("guest"))
        busy = sum(seconds for name, seconds in times.items() if name not in IDLE)
        own = {process.pid: process for process in psutil.process_iter() if _names(process, str(folder))}
        if not own:
            return None
        wait_s = {pid: waited for pid in own if (waited := _waited_s(pid)) is not None}
        me = psutil.Process(os.getpid())
        family = {process.pid: process for process in (me, *me.children(recursive=True))}
        own_s = {pid: _used_s(process) for pid, process in own.items()}
        own_s |= {pid: _used_s(process) + _ended_s(process) for pid, process in family.items()}
        return HostUse(total_s=total, busy_s=busy, own_s=own_s, wait_s=wait_s, family=frozenset(family))

    def ours(self, before: HostUse) -> float:
        """CPU seconds of the machine and of us since then. One of our family that ended is in its parent's account with
        all that it ever used."""
        ended = before.family - self.own_s.keys()
        used = sum(used - before.own_s.get(pid, 0.0) for pid, used in self.own_s.items())
        return used - sum(before.own_s[pid] for pid in ended)

    def others(self, before: HostUse) -> float | None:
        """The share of all CPUs' time since then that neither the machine nor we used."""
        total = self.total_s - before.total_s
        return min(max((self.busy_s - before.busy_s - self.ours(before)) / total, 0.0), 1.0) if total > 0 else None

    def waited(self, before: HostUse) -> float | None:
        """Seconds that the machine waited for a CPU for each second that it had one; None where nothing tells."""
        waited = sum(self.wait_s[pid] - before.wait_s.get(pid, 0.0) for pid in self.wait_s)
        ran = sum(self.own_s[pid] - before.own_s.get(pid, 0.0) for pid in self.wait_s)
        return max(waited, 0.0) / ran if ran > 0 else None


def _names(process: psutil.Process, folder: str) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return any(word == folder or f"{folder}{os.sep}" in word for word in process.cmdline())
    return False


def _waited_s(pid: int) -> float | None:
    """By the scheduler's own account of each thread, which only Linux gives."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((thread / "schedstat").read_text(encoding="ascii").split()[1]) for thread in threads) / 1e9
    except (OSError, IndexError):
        return None


def _used_s(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _ended_s(process: psutil.Process) -> float:
    """What the children that it has waited for used, and theirs: a compiler has exited before we look."""
    if process.pid == os.getpid():  # psutil tells it on Linux alone
        of = os.times()
        return of.children_user + of.children_system
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.children_user + times.children_system)
    return 0.0
