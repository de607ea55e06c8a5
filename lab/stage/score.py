"""Every record of a show in its order, and who hears of them: a view that comes late gets all so far first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.stage.events import Remark, StageEvent
from lab.stage.record import StageRecord

Sink = Callable[[StageRecord], None]


@dataclass(slots=True)
class Score:
    """Numbers events and hands each to every view, in order, from any thread. A view that fails is let go."""

    began_s: float = field(default_factory=time.monotonic)
    records: list[StageRecord] = field(default_factory=list)
    _sinks: list[Sink] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, event: StageEvent) -> StageRecord:
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
