"""Waits for a condition, with a deadline and a reason: the only user of `time.sleep`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from lab.model.errors import Cancelled, LabError, ProvisioningError

POLL_S: Final = 0.1
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """The condition does not hold yet; `reason` is shown at a timeout."""

    reason: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in monotonic time, passed through every layer, so that inner waits never outlast outer ones."""

    at_s: float
    cancel: threading.Event | None = None

    @staticmethod
    def after(seconds: float, cancel: threading.Event | None = None) -> Deadline:
        return Deadline(time.monotonic() + seconds, cancel)

    def sooner(self, seconds: float) -> Deadline:
        """The earlier of this deadline and `seconds` from now."""
        return Deadline(min(self.at_s, time.monotonic() + seconds), self.cancel)

    def left_s(self) -> float:
        return max(0.0, self.at_s - time.monotonic())

    def passed(self) -> bool:
        return time.monotonic() >= self.at_s

    def sleep(self, seconds: float) -> None:
        """Sleep, clipped to the time left; raises Cancelled as soon as it is cancelled."""
        pause = min(seconds, self.left_s())
        if self.cancel is None:
            time.sleep(pause)
        elif self.cancel.wait(pause):
            raise Cancelled


def until(
    probe: Callable[[], T | NotYet],
    *,
    what: str,
    deadline: Deadline,
    hint: str,
    poll_s: float = POLL_S,
    error: type[LabError] = ProvisioningError,
) -> T:
    """Call `probe` until it returns anything but NotYet. Raises `error` with the last reason, and `hint` as fix."""
    while isinstance(result := probe(), NotYet):
        if deadline.passed():
            raise error(f"timed out waiting for {what}: {result.reason}", fix=hint)
        deadline.sleep(poll_s)
    return result
