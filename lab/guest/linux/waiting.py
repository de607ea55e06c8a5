"""The only waits of the guest half: on a condition, with a deadline, cancelled by a stop request."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Optional, TypeVar

T = TypeVar("T")
LOOK_S = 0.75  # longer than any look at what is waited for is apart from the one before
Condition = Callable[[], Optional[T]]


class Stopped(Exception):
    """Stopped on request; complete results are kept and the next start resumes."""


class Cancel:
    """Set by the signal handler, checked by every wait."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self) -> None:
        self.asked = True

    def check(self) -> None:
        if self.asked:
            raise Stopped


class CalmClock:
    """The monotonic clock without the time in which this machine stood still: two calls are at most LOOK_S apart.

    By it nothing is called missing that had no chance to come. While a machine that counts instructions idles, its
    clock follows the host's: a host that is busy or asleep lets seconds pass there at once, before anything runs.
    """

    def __init__(self) -> None:
        self._last, self._still = time.monotonic(), 0.0

    def __call__(self) -> float:
        now = time.monotonic()
        self._still += max(0.0, now - self._last - LOOK_S)
        self._last = now
        return now - self._still


def until(cancel: Cancel, condition: Condition[T], deadline_s: float, step_s: float = 0.05) -> T | None:
    """The condition's first truthy value, or None at the deadline. Raises Stopped."""
    ends = time.monotonic() + deadline_s
    while True:
        cancel.check()
        value = condition()
        if value:
            return value
        left = ends - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(step_s, left))


def sleep(cancel: Cancel, seconds: float) -> None:
    """Let `seconds` pass. Raises Stopped."""
    until(cancel, lambda: None, seconds, 0.2)
