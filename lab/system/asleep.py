"""How long this host has slept since its boot: the difference of two clocks, neither of which anybody can set."""

from __future__ import annotations

import sys
import time
from typing import Final

# of macOS not the clock of time.monotonic, which stands still
GOES_ON: Final = {"linux": "CLOCK_BOOTTIME", "darwin": "CLOCK_MONOTONIC"}


def passed_s() -> float:
    """Seconds of a clock that goes on while this host sleeps."""
    if sys.platform == "win32" or sys.platform not in GOES_ON:
        return time.monotonic()
    clock: int = getattr(time, GOES_ON[sys.platform])
    return time.clock_gettime(clock)


def awake_s() -> float:
    """Seconds of a clock that stands still while this host sleeps; of Windows time.monotonic does not."""
    if sys.platform == "win32":
        import ctypes

        ticks = ctypes.c_ulonglong()  # of 100 ns
        ctypes.windll.kernel32.QueryUnbiasedInterruptTime(ctypes.byref(ticks))
        return ticks.value / 1e7
    return time.monotonic()


def slept_s() -> float:
    """Seconds that this host has slept so far: a difference of two of these is meant, for they may have an offset."""
    return passed_s() - awake_s()
