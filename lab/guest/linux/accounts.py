"""CPU and memory per role: one cgroup per role where the kernel permits it, else /proc of each process.

cgroup v2 is used in a unit that systemd delegated to us, or without systemd; then cpuacct of cgroup v1; then /proc.
Each counts user and system time of every process that the role ever ran, in seconds.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab.guest.linux.procfs import (
    parse_cpu_stat,
    parse_cpuacct,
    parse_mounts,
    parse_own_cgroup,
    parse_pid_stat,
    parse_status_mib,
    parse_throttled,
    read,
    switches,
)

ROLES = ("service", "agent", "sink", "load")
LEADER = "leader"  # a group for the guest half itself: its children are in a group of ours from the fork on
DELEGATED_ENV = "LAB_GUEST_DELEGATED"  # set by `start` in a unit with Delegate=yes


@dataclass
class Accounts:
    """The accounting of each role. source: cgroup2 | cgroup1 | proc."""

    source: str
    root: Path | None
    pids: dict[str, list[int]] = field(default_factory=lambda: {role: [] for role in ROLES})
    ended: dict[str, tuple[float, float]] = field(default_factory=lambda: dict.fromkeys(ROLES, (0.0, 0.0)))

    def entry(self, role: str) -> Callable[[], None]:
        """The function that a child calls between fork and exec to be counted under `role`."""
        if self.root is None:
            return _nothing
        procs = str(self.root / role / "cgroup.procs")

        def enter() -> None:
            fd = os.open(procs, os.O_WRONLY)
            os.write(fd, b"0")
            os.close(fd)

        return enter

    def started(self, role: str, pid: int) -> None:
        self.pids[role].append(pid)

    def reaped(self, role: str, pid: int, user_s: float, system_s: float) -> None:
        """Add the usage of an ended child; only /proc accounting needs it, cgroups keep it."""
        self.pids[role].remove(pid)
        user, system = self.ended[role]
        self.ended[role] = (user + user_s, system + system_s)

    def cpu(self, role: str) -> tuple[float, float]:
        """User and system seconds so far."""
        if self.root is None:
            return self._proc_cpu(role)
        folder = self.root / role
        if self.source == "cgroup2":
            return parse_cpu_stat(read(folder / "cpu.stat"))
        return parse_cpuacct(*(read(folder / f"cpuacct.usage{part}") for part in ("", "_user", "_sys")))

    def _proc_cpu(self, role: str) -> tuple[float, float]:
        user, system = self.ended[role]
        for pid in self.pids[role]:
            text = read("/proc/%d/stat" % pid, "")
            if text:
                more_user, more_system, _, _ = parse_pid_stat(text)
                user, system = user + more_user, system + more_system
        return user, system

    def rss_mib(self, role: str) -> tuple[float, float]:
        """Resident MiB of the role's live processes: now, and the sum of their own peaks."""
        found = [parse_status_mib(read("/proc/%d/status" % pid, "")) for pid in self.pids[role]]
        return sum(now for now, _ in found), sum(peak for _, peak in found)

    def switches(self, role: str) -> tuple[int, int]:
        """Context switches of the role's live threads: to wait, and for another thread."""
        found = [switches(pid) for pid in self.pids[role]]
        return sum(waits for waits, _ in found), sum(taken for _, taken in found)

    def close(self) -> None:
        """Leave and remove our groups; a group with a process in it stays for the next start to remove."""
        if self.root is None:
            return
        _enter(self.root.parent)
        for folder in [self.root / role for role in (*ROLES, LEADER)] + [self.root]:
            _remove(folder)


def _nothing() -> None:
    return None


def open_accounts(
    tag: str, *, delegated: bool, systemd: bool, sources: tuple[str, ...] = ("cgroup2", "cgroup1")
) -> Accounts:
    """Create the groups under our own name; falls back silently, every cell reports the source."""
    for source in sources:
        if source == "cgroup2" and systemd and not delegated:
            continue
        parent = own_group("" if source == "cgroup2" else "cpuacct")
        if parent is None:
            continue
        root = parent / ("lab-" + tag)
        try:
            for role in ROLES:
                (root / role).mkdir(parents=True, exist_ok=True)
            accounts = Accounts(source=source, root=root)
            for role in ROLES:
                accounts.cpu(role)
                with open(root / role / "cgroup.procs", "a", encoding="utf-8"):
                    pass
        except (OSError, KeyError, ValueError):
            for folder in [root / role for role in ROLES] + [root]:
                _remove(folder)
            continue
        with contextlib.suppress(OSError):
            (root / LEADER).mkdir(exist_ok=True)
        _enter(root / LEADER)
        return accounts
    return Accounts(source="proc", root=None)


def own_group(controller: str) -> Path | None:
    """The folder of this process's group in the mounted hierarchy of a controller; "": of cgroup v2."""
    own = parse_own_cgroup(read("/proc/self/cgroup", ""), controller)
    if own is None:
        return None
    for _, target, kind, options in parse_mounts(read("/proc/self/mounts")):
        if kind == ("cgroup" if controller else "cgroup2") and (not controller or controller in options.split(",")):
            return Path(target + own)
    return None


def throttled_s() -> float | None:
    """Seconds so far in which a CPU quota held this process's group back, or one above it; None: the kernel does not
    tell."""
    group = own_group("cpu") or own_group("")
    above = [] if group is None else [group, *group.parents]
    found = [parse_throttled(read(folder / "cpu.stat", "")) for folder in above]
    return sum(filter(None, found)) if any(one is not None for one in found) else None


def _enter(group: Path) -> None:
    """Move this process into a group, if permitted."""
    with contextlib.suppress(OSError), open(group / "cgroup.procs", "a", encoding="utf-8") as file:
        file.write("0")


def _remove(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return
