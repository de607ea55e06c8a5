"""Host and machine while a show is on: one Health event whenever something changes, for the speaker alone."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from lab.stage.cast import Alive
from lab.stage.events import Health, Remark, StageEvent

EVERY_S: Final = 1.0
MACHINE_EVERY: Final = 5  # looks at the host
SLEPT_S: Final = 5.0  # by how much the wall clock may run ahead of the monotonic one between two looks
BUSY: Final = 1.5  # runnable processes per CPU
LOW: Final = 0.2


@contextlib.contextmanager
def beating(
    emit: Callable[[StageEvent], object], *, alive: Callable[[], Alive] | None, views: Callable[[], int]
) -> Iterator[None]:
    """Look each second while the block runs. alive: how the machine is; None: there is none (a recording)."""
    over = threading.Event()
    looking = threading.Thread(target=_look, args=(over, emit, alive, views), name="pulse", daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join(EVERY_S)


def _look(
    over: threading.Event,
    emit: Callable[[StageEvent], object],
    alive: Callable[[], Alive] | None,
    views: Callable[[], int],
) -> None:
    told: Health | None = None
    machine: Alive = "up"
    ahead_s = time.time() - time.monotonic()
    turn = 0
    while True:
        if alive is not None and turn % MACHINE_EVERY == 0:
            machine = alive()
        turn += 1
        now = seen(machine, views())
        if now != told:
            emit(now)
            told = now
        if over.wait(EVERY_S):
            return
        # the monotonic clock stands still while a laptop sleeps
        slept_s, ahead_s = time.time() - time.monotonic() - ahead_s, time.time() - time.monotonic()
        if slept_s > SLEPT_S:
            emit(Remark(text=f"this laptop slept for {slept_s:.0f} s: retry the beat", level="warning"))


def seen(machine: Alive, views: int) -> Health:
    """Host and machine now; figures as coarse as the screen shows them."""
    load, battery = _load(), _battery()
    warnings = []
    if load > BUSY:
        warnings.append(f"this host is busy: {load:.1f} runnable processes per CPU")
    if battery is not None and battery < LOW:
        warnings.append("the battery is low")
    return Health(load=load, machine=machine, battery=battery, views=views, warnings=tuple(warnings))


def _load() -> float:
    import psutil

    return round(psutil.getloadavg()[0] / (psutil.cpu_count() or 1), 1)


def _battery() -> float | None:
    """How full it is while it is being used; None on mains, or where there is none."""
    import psutil

    found = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return None if found is None or found.power_plugged else round(found.percent / 100, 2)
