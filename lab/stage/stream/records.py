"""Every record of a show in its order, its JSON, and who hears of them.

A view that comes late gets all so far first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from lab.guest.wire import Count, WireError, decode, encode, shown
from lab.stage.stream.cleaned import cleaned
from lab.stage.stream.events import Private, Public, Remark, StageEvent

_KINDS: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in (*Public.__args__, *Private.__args__)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """One event with its place in the show: `seq` from 1 without a gap; `at_s` seconds since the show's start."""

    seq: Count
    at_s: float
    event: StageEvent

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the page, a take and a replay have them."""
        return {"seq": self.seq, "at_s": self.at_s, "event": type(self.event).__name__, "data": encode(self.event)}

    @staticmethod
    def from_json(doc: object) -> StageRecord:
        """The inverse of `to_json`, cleaned. Raises WireError."""
        line = decode(_Written, doc)
        kind = _KINDS.get(line.event)
        if kind is None:
            raise WireError(f"one of {', '.join(_KINDS)} is expected, not {shown(line.event)}").inside("event")
        try:
            event: StageEvent = decode(kind, line.data)
        except WireError as error:
            raise error.inside("data") from None
        return StageRecord(seq=line.seq, at_s=line.at_s, event=cleaned(event))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """A record as it is written: its event's name and the fields of that event."""

    seq: Count
    at_s: float
    event: str
    data: dict[str, Any]


Sink = Callable[[StageRecord], None]


class Stage(Protocol):
    """A show that is on. Both functions may be called from any thread."""

    def subscribe(self, sink: Sink) -> Callable[[], None]:
        """Call `sink` with every record so far, then with each new one, in order. Returns what ends it."""

    def act(self, action: str, argument: str = "") -> None:
        """Do what a key asks for: an action of `keys`, or `jump` with a beat's number. Returns at once."""


@dataclass(slots=True)
class Score:
    """Numbers events and hands each to every view, in order, from any thread. A view that fails is let go."""

    began_s: float = field(default_factory=time.monotonic)
    records: list[StageRecord] = field(default_factory=list)
    _sinks: list[Sink] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, event: StageEvent) -> StageRecord:
        """One more record. What a program or a file wrote steers no view."""
        event = cleaned(event)
        with self._lock:
            at_s = round(time.monotonic() - self.began_s, 4)
            record = StageRecord(seq=len(self.records) + 1, at_s=at_s, event=event)
            self.records.append(record)
            lost = [sink for sink in self._sinks if not _heard(sink, record)]
            for sink in lost:
                self._sinks.remove(sink)
            if lost:
                self.add(Remark(text="a view of the show has failed and is no longer drawn", level="warning"))
            return record

    def subscribe(self, sink: Sink) -> Callable[[], None]:
        with self._lock:
            for record in self.records:
                sink(record)
            self._sinks.append(sink)

        def end() -> None:
            with self._lock:
                if sink in self._sinks:
                    self._sinks.remove(sink)

        return end


def _heard(sink: Sink, record: StageRecord) -> bool:
    try:
        sink(record)
    except Exception:  # noqa: BLE001 - a view must not end the show
        return False
    return True
