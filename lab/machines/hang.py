"""Decides whether a machine hangs: its virtual CPUs ran, and no heartbeat came. Pure functions over readings.

Elapsed time alone proves nothing: a busy, stopped or suspended host delays a healthy machine. So the machine's own time
is counted: the time that passed, less the time that its virtual CPUs waited for a processor of the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from lab.model.errors import ProvisioningError
from lab.model.machine import Observed

Verdict = Literal["alive", "unsure", "hung"]
LATE_S: Final = 5.0  # a heartbeat this old is looked at; it comes each second
SILENT_S: Final = 6.0  # without a heartbeat, or GAPS times the longest silence that this boot went on after
GAPS: Final = 3.0
OWN_S: Final = 2.0  # of the machine's own time in that; a heartbeat takes less than a tenth of it
SEEN_S: Final = 0.7  # of that, the part that must be watched: a stopped machine beats soon after it resumes
WATCHED_S: Final = 3.0
# Before heartbeats are steady: nothing was read, written, printed or newly translated, and yet a processor was busy.
# A booting kernel does that longest while it unpacks its image (measured: 2 s).
EARLY_S: Final = 8.0
BUSY: Final = 0.5
BOOT_S: Final = 120.0  # of processor time; a boot takes 6
SHOWN: Final = 2
JUMP_S: Final = 5.0  # between two readings: lab or the whole host was stopped, and that time is unknown


class Hung(ProvisioningError):
    """The machine hangs; `lab up` frees or restarts it."""

    def __init__(self, name: str, reason: str, log: str | None = None) -> None:
        super().__init__(f"machine {name} is hung: {reason}", fix=f"lab up {name}", log=log)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One sample. life: values that change while it lives; cpu_s: per virtual CPU, (ran, waited) so far."""

    at_s: float  # monotonic
    life: tuple[object, ...]
    beats: bool  # heartbeats are steady, and `life` is the last one; else `life` is what a booting machine shows
    cpu_s: tuple[tuple[float, float], ...]
    age_s: float = 0.0  # of that heartbeat, by the wall clock
    gap_s: float = 1.0  # the longest silence between its predecessors
    uptime_s: float = 0.0
    slow: float = 1.0  # seconds that its processor must run for one second of its clock, where that counts instructions


class HangDetector:
    """Follows one machine by its readings."""

    def __init__(self) -> None:
        self._last: Reading | None = None
        self.watched_s = self.own_s = self.busy_s = 0.0

    def feed(self, now: Reading) -> Verdict:
        """What the readings so far prove."""
        before, self._last = self._last, now
        if not now.beats and _ran_s(now) >= BOOT_S * now.slow:
            return "hung"
        if before is None or now.life != before.life or len(now.cpu_s) != len(before.cpu_s):
            self.watched_s = self.own_s = self.busy_s = 0.0
            return "alive" if before is not None or (now.beats and now.age_s < LATE_S) else "unsure"
        passed_s = now.at_s - before.at_s
        if passed_s > JUMP_S:
            return "unsure"
        ran = [max(0.0, b[0] - a[0]) for a, b in zip(before.cpu_s, now.cpu_s, strict=True)]
        waited = [max(0.0, b[1] - a[1]) for a, b in zip(before.cpu_s, now.cpu_s, strict=True)]
        self.watched_s += passed_s
        self.busy_s += max(ran, default=0.0)
        behind_s = sum(ran) * (1 - 1 / now.slow)  # its clock stood still in that, and its heart with it
        self.own_s += max(0.0, passed_s - (sum(waited) + behind_s) / max(1, len(waited)))
        return self._judge(now)

    def _judge(self, now: Reading) -> Verdict:
        if now.beats:
            # before we looked it had as much of the host as while we did
            own_s = self.own_s * max(1.0, now.age_s / max(self.watched_s, 0.1))
            if now.slow > 1.0 and self.own_s < SILENT_S:  # a counted clock stops whenever the host is busy
                return "unsure"
            watched = self.watched_s >= WATCHED_S and self.own_s >= SEEN_S
            silent = max(now.age_s, self.watched_s) >= max(SILENT_S * now.slow, GAPS * now.gap_s)
            return "hung" if watched and silent and own_s >= OWN_S else "unsure"
        return "hung" if self.own_s >= EARLY_S * now.slow and self.busy_s >= BUSY * self.own_s else "unsure"


def _ran_s(now: Reading) -> float:
    return max((ran for ran, _ in now.cpu_s), default=0.0)


def error(name: str, current: Observed, log: str | None = None) -> Hung:
    """The error for a machine whose state is `hung`."""
    return Hung(name, current.reason, log)


def words(pulse: HangDetector, now: Reading, places: list[str]) -> str:
    """The evidence as text."""
    more = f" and {len(places) - SHOWN} more addresses" if len(places) > SHOWN else ""
    at = f", at {', '.join(sorted(places)[:SHOWN])}{more}" if places else ""
    used = f"{pulse.busy_s:.1f} of {pulse.watched_s:.1f} s watched"
    if not now.beats:
        return f"it does not boot; its processor ran for {_ran_s(now):.0f} s and was busy for {used}{at}"
    return (
        f"no heartbeat for {now.age_s:.0f} s while QEMU runs (up {now.uptime_s:.0f} s, processor busy for {used}{at})"
    )
