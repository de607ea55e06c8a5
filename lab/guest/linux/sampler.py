"""Cumulative counters, read while a cell runs, and the usage inside the measured window. The second half is pure.

The load generator reports the edges of the window only afterwards, so counters are read often and interpolated at the
edges.
"""

from __future__ import annotations

import ctypes
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.guest.linux.accounts import ROLES, Accounts
from lab.guest.linux.procfs import SystemTimes, bpf_runs, parse_status_mib, pressure, read, system_times
from lab.guest.wire import Usage

PERIOD_S = 0.25
SLOW_EVERY = 4  # read memory, BPF counters and threads, which cost more, only with every fourth sample
SWITCHING = ("service", "agent")

_SYS_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
_BPF_ENABLE_STATS = 32
NONE_USED = SystemTimes(busy_s=0.0, steal_s=0.0, irq_s=0.0)


@dataclass(frozen=True)
class Sample:
    """One reading. cpu: role -> (user_s, system_s) so far; None: not read this time."""

    wall_ns: int
    mono_ns: int
    cpu: dict[str, tuple[float, float]]
    system: SystemTimes
    psi: dict[str, float]
    rss: dict[str, tuple[float, float]] | None
    bpf: tuple[float, int] | None  # seconds and runs of the agents' programs
    switches: dict[str, tuple[int, int]] | None = None  # role -> to wait, for another thread


def take(accounts: Accounts, agents: Sequence[int], *, slow: bool, bpf: bool) -> Sample:
    """Read everything once."""
    cpu = {role: accounts.cpu(role) for role in ROLES}
    own = os.times()
    cpu["guest"] = (own.user, own.system)
    rss = None
    if slow:
        rss = {role: accounts.rss_mib(role) for role in ROLES}
        rss["guest"] = parse_status_mib(read("/proc/self/status"))
    return Sample(
        wall_ns=time.time_ns(),
        mono_ns=time.monotonic_ns(),
        cpu=cpu,
        system=system_times(),
        psi=pressure(),
        rss=rss,
        bpf=bpf_runs(agents) if slow and bpf else None,
        switches={role: accounts.switches(role) for role in SWITCHING} if slow else None,
    )


def sentinel(rounds: int) -> float:
    """Seconds that a fixed piece of work takes now."""
    began = time.perf_counter()
    value = 1
    for _ in range(rounds):
        value = (value * 1103515245 + 12345) & 0x7FFFFFFF
    return time.perf_counter() - began


class BpfStatistics:
    """Kernel accounting of BPF run time, enabled while this is open, without a sysctl. `on`: the kernel permits it."""

    def __init__(self, *, wanted: bool = True) -> None:
        number = _SYS_BPF.get(platform.machine())
        self._fd = -1
        if wanted and number is not None:
            attr = ctypes.create_string_buffer(16)  # type 0: run time
            self._fd = ctypes.CDLL(None).syscall(number, _BPF_ENABLE_STATS, attr, len(attr))

    @property
    def on(self) -> bool:
        return self._fd >= 0

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


# --- the window ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WindowUse:
    """Usage between the edges of the window; as it is, of no window at all."""

    usage: tuple[Usage, ...] = ()
    window_s: float = 0.0
    system: SystemTimes = NONE_USED
    psi: dict[str, float] = field(default_factory=dict)
    bpf_s: float | None = None
    bpf_runs: float | None = None
    clock_step_s: float = 0.0
    pause_s: float = 0.0


def window_use(samples: Sequence[Sample], start_ns: int, end_ns: int, source: str) -> WindowUse:
    """Interpolate the counters at both edges. start_ns, end_ns: wall clock. Needs at least two samples."""

    def between(values: Sequence[float]) -> float:
        return max(0.0, _at(samples, values, end_ns) - _at(samples, values, start_ns))

    usage = []
    for role in samples[0].cpu:
        now, peak = _memory(samples, role, end_ns)
        usage.append(
            Usage(
                role=role,
                user_s=between([s.cpu[role][0] for s in samples]),
                system_s=between([s.cpu[role][1] for s in samples]),
                rss_mib=now,
                rss_peak_mib=peak,
                source="proc" if role == "guest" else source,
                waits=_switches(samples, role, 0, start_ns, end_ns),
                preempted=_switches(samples, role, 1, start_ns, end_ns),
            )
        )
    bpf = [(s, (float(s.bpf[0]), float(s.bpf[1]))) for s in samples if s.bpf is not None]
    return WindowUse(
        usage=tuple(usage),
        window_s=between([s.mono_ns / 1e9 for s in samples]),
        system=SystemTimes(
            busy_s=between([s.system.busy_s for s in samples]),
            steal_s=between([s.system.steal_s for s in samples]),
            irq_s=between([s.system.irq_s for s in samples]),
        ),
        psi={name: between([s.psi[name] for s in samples]) for name in samples[0].psi},
        bpf_s=_rare_between(bpf, 0, start_ns, end_ns),
        bpf_runs=_rare_between(bpf, 1, start_ns, end_ns),
        clock_step_s=_clock_step(samples),
        pause_s=_longest_gap(samples),
    )


def _at(samples: Sequence[Sample], values: Sequence[float], wall_ns: int) -> float:
    """A cumulative value at one moment; before the first and after the last sample, the nearest."""
    for (a, low), (b, high) in zip(zip(samples, values), zip(samples[1:], values[1:])):
        if wall_ns <= a.wall_ns:
            return low
        if wall_ns <= b.wall_ns:
            part = (wall_ns - a.wall_ns) / max(1, b.wall_ns - a.wall_ns)
            return low + part * (high - low)
    return values[-1]


def _rare_between(
    known: Sequence[tuple[Sample, tuple[float, float]]], part: int, start_ns: int, end_ns: int
) -> float | None:
    """As `between`, of what is not read with every sample."""
    if len(known) < 2:
        return None
    samples, values = [sample for sample, _ in known], [pair[part] for _, pair in known]
    return max(0.0, _at(samples, values, end_ns) - _at(samples, values, start_ns))


def _switches(samples: Sequence[Sample], role: str, part: int, start_ns: int, end_ns: int) -> float | None:
    known = [(s, s.switches[role]) for s in samples if s.switches is not None and role in s.switches]
    return _rare_between(known, part, start_ns, end_ns)


def _memory(samples: Sequence[Sample], role: str, end_ns: int) -> tuple[float, float]:
    known = [(s.wall_ns, s.rss[role]) for s in samples if s.rss is not None]
    inside = [value for wall, value in known if wall <= end_ns and value[0] > 0] or [value for _, value in known]
    now = inside[-1][0] if inside else 0.0
    return now, max((peak for _, peak in inside), default=0.0)


def _clock_step(samples: Sequence[Sample]) -> float:
    offsets = [s.wall_ns - s.mono_ns for s in samples]
    return max((abs(b - a) for a, b in zip(offsets, offsets[1:])), default=0) / 1e9


def _longest_gap(samples: Sequence[Sample]) -> float:
    gaps = [(b.mono_ns - a.mono_ns) / 1e9 for a, b in zip(samples, samples[1:])]
    return max(0.0, max(gaps, default=0.0) - PERIOD_S)
