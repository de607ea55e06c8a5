"""Kernel text files: one pure parser each, tested with recorded output, and thin readers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1024.0 * 1024.0


@dataclass(frozen=True)
class SystemTimes:
    """CPU seconds of the whole system since boot, all CPUs. busy includes irq, not steal."""

    busy_s: float
    steal_s: float
    irq_s: float  # hard and soft interrupts, already inside busy_s


def parse_stat(text: str, tick_s: float = TICK_S) -> SystemTimes:
    """/proc/stat. Guest time is inside user time already."""
    fields = text.split("\n", 1)[0].split()
    values = [int(v) * tick_s for v in fields[1:]] + [0.0] * 10
    user, nice, system, _idle, _iowait, irq, softirq, steal = values[:8]
    return SystemTimes(busy_s=user + nice + system + irq + softirq, steal_s=steal, irq_s=irq + softirq)


def parse_pid_stat(text: str, tick_s: float = TICK_S) -> tuple[float, float, int, str]:
    """/proc/PID/stat: user seconds, system seconds, start in ticks since boot, state. The name may hold anything."""
    rest = text[text.rindex(")") + 2 :].split()
    return int(rest[11]) * tick_s, int(rest[12]) * tick_s, int(rest[19]), rest[0]


def parse_status_mib(text: str) -> tuple[float, float]:
    """/proc/PID/status: resident MiB now and at its peak; zeros for a kernel thread or a zombie."""
    found = {"VmRSS": 0.0, "VmHWM": 0.0}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key in found:
            found[key] = int(value.split()[0]) / 1024.0
    return found["VmRSS"], found["VmHWM"]


def parse_cpu_stat(text: str) -> tuple[float, float]:
    """cgroup v2 cpu.stat: user and system seconds."""
    values = dict(line.split() for line in text.splitlines() if line)
    return int(values["user_usec"]) / 1e6, int(values["system_usec"]) / 1e6


def parse_cpuacct(text: str, text_user: str, text_sys: str) -> tuple[float, float]:
    """User and system seconds of cgroup v1: cpuacct.usage, in the proportion of its _user and _sys; nanoseconds.

    The last two only sample at clock ticks: beside a busy neighbour they missed five sixths of the time.
    """
    total, user, system = int(text) / 1e9, int(text_user), int(text_sys)
    in_user = total * user / (user + system) if user + system else total
    return in_user, total - in_user


def parse_throttled(text: str) -> float | None:
    """cpu.stat: seconds in which the group's quota held it back, of all CPUs together; None where it tells none."""
    values = dict(line.split() for line in text.splitlines() if line)
    if "throttled_usec" in values:  # cgroup v2
        return int(values["throttled_usec"]) / 1e6
    return int(values["throttled_time"]) / 1e9 if "throttled_time" in values else None


def parse_schedstat(text: str) -> float:
    """/proc/PID/task/TID/schedstat: seconds in which the thread was ready to run and had no CPU."""
    fields = text.split()
    return int(fields[1]) / 1e9 if len(fields) > 1 else 0.0


def parse_switches(text: str) -> tuple[int, int]:
    """/proc/PID/task/TID/status: how often the thread gave its CPU up to wait, and how often another one took it."""
    values = dict(line.split(":", 1) for line in text.splitlines() if "ctxt_switches:" in line)
    return int(values.get("voluntary_ctxt_switches", "0")), int(values.get("nonvoluntary_ctxt_switches", "0"))


def parse_pressure(text: str) -> float:
    """/proc/pressure/*: seconds in which some task waited, since boot."""
    for line in text.splitlines():
        if line.startswith("some "):
            return int(line.rsplit("total=", 1)[1]) / 1e6
    return 0.0


def parse_fdinfo_runs(text: str) -> tuple[float, int] | None:
    """Run time and runs of a BPF program from /proc/PID/fdinfo/FD; None when the descriptor is not a program."""
    values = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if "prog_type" not in values or "run_time_ns" not in values:
        return None
    return int(values["run_time_ns"]) / 1e9, int(values.get("run_cnt", "0"))


def parse_lockdown(text: str) -> str:
    """The chosen word of /sys/kernel/security/lockdown ("none [integrity] confidentiality")."""
    for word in text.split():
        if word.startswith("["):
            return word.strip("[]")
    return "unknown"


def parse_own_cgroup(text: str, controller: str) -> str | None:
    """Own path in one hierarchy of /proc/self/cgroup; controller "" is cgroup v2."""
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path
    return None


def parse_mounts(text: str) -> list[tuple[str, str, str, str]]:
    """/proc/self/mounts: (source, target, type, options)."""
    rows = (line.split(" ") for line in text.splitlines())
    return [(r[0], r[1].replace("\\040", " "), r[2], r[3]) for r in rows if len(r) >= 4]


# --- readers ---------------------------------------------------------------------------------------------------------


def read(path: str | Path, default: str | None = None) -> str:
    """The text of a small file; `default`, when given, for a file that is missing or not readable."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        if default is None:
            raise
        return default


def boot_id() -> str:
    return read("/proc/sys/kernel/random/boot_id", "unknown").strip()


def start_ticks(pid: int) -> int | None:
    """Start of a process in ticks since boot: with the pid, its identity. None: it has ended or is a zombie."""
    try:
        _, _, ticks, state = parse_pid_stat(read("/proc/%d/stat" % pid))
    except (OSError, ValueError):
        return None
    return None if state in ("Z", "X") else ticks


def alive(pid: int, ticks: int, boot: str) -> bool:
    """Whether this process still runs; a pid alone may be reused."""
    return boot == boot_id() and start_ticks(pid) == ticks


def session(leader: int) -> list[int]:
    """The pids in the session of `leader`, itself included; the id is not reused before all have ended."""
    return sessions().get(leader, [])


def sessions() -> dict[int, list[int]]:
    """The pids in each session, by its leader."""
    found: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        text = read(path, "")
        fields = text[text.rfind(")") + 2 :].split()
        if len(fields) > 3 and fields[0] not in ("Z", "X"):
            found.setdefault(int(fields[3]), []).append(int(path.parent.name))
    return found


def cpu_s(pid: int) -> float | None:
    """CPU seconds of a process so far, to the nanosecond; None when it has ended.

    Its CPU-time clock is that of clock_getcpuclockid(3), which Python does not have.
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | 2) / 1e9
    except OSError:
        return None


def waited_s(pid: int) -> float:
    """Seconds in which threads of a process that are there now were ready to run and had no CPU."""
    return sum(parse_schedstat(read(path, "")) for path in Path("/proc/%d/task" % pid).glob("*/schedstat"))


def switches(pid: int) -> tuple[int, int]:
    """Context switches of the threads of a process that are there now: to wait, and for another thread."""
    found = [parse_switches(read(path, "")) for path in Path("/proc/%d/task" % pid).glob("*/status")]
    return sum(waits for waits, _ in found), sum(taken for _, taken in found)


def rss_mib(pid: int) -> float:
    """Resident MiB; 0 when it has ended."""
    fields = read("/proc/%d/statm" % pid, "").split()
    return int(fields[1]) * PAGE / MIB if fields else 0.0


def system_times() -> SystemTimes:
    return parse_stat(read("/proc/stat"))


def pressure() -> dict[str, float]:
    """Seconds since boot per resource, where the kernel has PSI."""
    found = {name: read("/proc/pressure/" + name, "") for name in ("cpu", "memory", "io")}
    return {name: parse_pressure(text) for name, text in found.items() if text}


def bpf_runs(pids: Iterable[int]) -> tuple[float, int]:
    """Run time and runs of every BPF program that these processes hold; counts only while statistics are on."""
    seconds, runs = 0.0, 0
    for pid in pids:
        for fd in Path("/proc/%d/fdinfo" % pid).glob("*"):
            found = parse_fdinfo_runs(read(fd, ""))
            if found is not None:
                seconds, runs = seconds + found[0], runs + found[1]
    return seconds, runs
