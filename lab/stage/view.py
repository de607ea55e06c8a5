"""What a view may ask of a show, live or played back: its records, and its keys' actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lab.stage.record import StageRecord

Sink = Callable[[StageRecord], None]


class Stage(Protocol):
    """A show that is on. Both functions may be called from any thread."""

    def subscribe(self, sink: Sink) -> Callable[[], None]:
        """Call `sink` with every record so far, then with each new one, in order. Returns what ends it."""

    def act(self, action: str, argument: str = "") -> None:
        """Do what a key asks for: an action of `lab.stage.keys`, or `jump` with a beat's number. Returns at once."""
