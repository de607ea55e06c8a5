"""The only waits of the guest half: on a condition, with a deadline, cancelled by a stop request."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Optional, TypeVar

T = TypeVar("T")
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
