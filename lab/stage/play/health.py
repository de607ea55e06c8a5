"""How this host and the machine are while the show goes on: for the speaker alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import psutil

from lab.stage.beat.cast import Alive, StageMachine
from lab.stage.stream.events import Health, Remark, StageEvent
from lab.system import asleep
from lab.system.free_space import free_bytes

EVERY_S: Final = 2.0
LOAD_HIGH: Final = 2.0  # runnable processes per CPU
BATTERY_LOW: Final = 0.2
SLEPT_S: Final = 5.0  # by how much the next look may be late
DISK_LOW: Final = 1 << 30


@dataclass(slots=True, kw_only=True)
class Pulse:
    """Tells `emit` of a change every two seconds, until `end`.

    cast: the machine; None where no beat asks one for anything, as in a replay.
    """

    cast: Callable[[], StageMachine] | None
    home: Path
    emit: Callable[[StageEvent], object]
    other: Callable[[], str] = lambda: ""  # the name of the second machine, where there is one
    views: Callable[[], int] = lambda: 0
    _end: threading.Event = field(default_factory=threading.Event)
    _last: Health | None = None

    def start(self) -> None:
        threading.Thread(target=self._run, name="health", daemon=True).start()

    def end(self) -> None:
        self._end.set()

    def _run(self) -> None:
        while True:
            now = self.look()
            if now != self._last:
                self._last = now
                self.emit(now)
            passed_s, slept_s = asleep.passed_s(), asleep.slept_s()
            if self._end.wait(EVERY_S):
                return
            gap_s = asleep.passed_s() - passed_s - EVERY_S
            if gap_s > SLEPT_S:
                what = "this laptop slept" if asleep.slept_s() - slept_s > SLEPT_S else "lab was stopped"
                self.emit(Remark(text=f"{what} for {gap_s:.0f} s: press r", level="warning"))

    def look(self) -> Health:
        """How it is now."""
        load, battery, plugged = host_load(), *power()
        machine: Literal[Alive, "none"] = self.cast().alive() if self.cast is not None else "none"
        warnings = []
        if load > LOAD_HIGH:
            warnings.append(f"this host is busy: {load:.1f} runnable processes per CPU")
        if battery is not None and not plugged and battery < BATTERY_LOW:
            warnings.append(f"the battery is at {battery * 100:.0f} %")
        if free_bytes(self.home) < DISK_LOW:
            warnings.append(f"less than 1 GiB is free in {self.home}")
        if machine in ("silent", "gone"):
            what = "does not answer" if machine == "silent" else "exited"
            second = f", or s for {name}" if (name := self.other()) else ""
            warnings.append(f"the machine {what}: press p{second}")
        return Health(
            load=load, machine=machine, battery=battery, views=self.views(), warnings=tuple(warnings)
        )  # fmt: skip


def host_load() -> float:
    """Runnable processes per CPU of this host, over the last minute."""
    return round(psutil.getloadavg()[0] / (psutil.cpu_count() or 1), 1)


def power() -> tuple[float | None, bool]:
    """(charge from 0 to 1, whether it is plugged in); (None, True) without a battery."""
    look = getattr(psutil, "sensors_battery", None)
    found = look() if look is not None else None
    if found is None:
        return None, True
    return round(found.percent / 100, 2), found.power_plugged is not False
