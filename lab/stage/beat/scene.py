"""What a beat that is played has around it: where its events go, the machine, and when it has to end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.flows.request import DemoRequest
from lab.guest.wire.live import LiveEvent
from lab.model.lab import Lab
from lab.stage.beat import signals
from lab.stage.beat.cast import StageMachine
from lab.stage.beat.expect import Seen
from lab.stage.beat.host_use import HostUse
from lab.stage.beat.signals import Signals
from lab.stage.stream.cleaned import cleaned
from lab.stage.stream.events import StageEvent, Value
from lab.system.wait import Deadline


@dataclass(slots=True, kw_only=True)
class Scene:
    """One attempt of one beat.

    After `close` its events go nowhere: a beat that is hung may come back when the show is elsewhere.
    """

    lab: Lab  # its `cancel` ends this attempt alone
    cast: StageMachine
    asked: DemoRequest
    budget_s: float
    sink: Callable[[StageEvent], None]
    folder: Path = Path()  # of the show file
    # an event, and a value against its rehearsed interval; with the values of the window before, by name and form
    judged: Callable[[StageEvent, Mapping[tuple[str, str], Value]], StageEvent] = lambda event, _: event
    # which of these values a second window has to tell noise from a change for
    doubt: Callable[[Sequence[Value]], Value | None] = lambda _: None
    shell: Callable[[list[str]], None] = lambda _: None  # hands the terminal over, and comes back after it
    began_s: float = field(default_factory=time.monotonic)
    seen: Seen = field(default_factory=Seen)
    told: list[LiveEvent] = field(default_factory=list)  # by the machine: what a cause is looked for in
    first: dict[tuple[str, str], Value] = field(default_factory=dict)  # of the window before, where there was one
    host: HostUse | None = None  # when the first order was given
    log: list[tuple[float, StageEvent]] = field(default_factory=list)  # with the seconds since the beat's start
    _open: bool = True
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def deadline(self) -> Deadline:
        """When the budget ends; passed at once when the attempt is ended."""
        return Deadline(self.began_s + self.budget_s, self.lab.cancel)

    def at_ms(self) -> float:
        """Milliseconds since the beat's start."""
        return round((time.monotonic() - self.began_s) * 1000, 1)

    def hear(self, event: LiveEvent) -> None:
        """Keep what the machine tells."""
        self.told.append(event)

    def watch(self) -> None:
        """Note what this host has done so far: what others use from now on is reported by `signals`."""
        if self.host is None:
            self.host = HostUse.now(self.lab.paths.machine(self.cast.machine))

    def signals(self) -> Signals:
        """What was seen beside the figures of this attempt so far."""
        if self.told and self.cast.clock == "counted":  # whatever the host does, the same work is the same count
            return signals.of(self.told)
        now = HostUse.now(self.lab.paths.machine(self.cast.machine)) if self.host is not None else None
        return signals.of(
            self.told,
            host_others=now.others(self.host) if now and self.host else None,
            host_waited=now.waited(self.host) if now and self.host else None,
        )

    def again(self, values: Iterable[Value]) -> None:
        """What was measured was a first window: what comes now is held to it, and stands."""
        self.first = {(one.name, one.form): one for one in values}
        self.told.clear()
        self.host = None

    def emit(self, event: StageEvent) -> None:
        """Show it, unless the attempt is over."""
        event = self.judged(cleaned(event), self.first)
        with self._lock:
            if self._open:
                self.seen.note(event)
                self.log.append((round(time.monotonic() - self.began_s, 4), event))
                self.sink(event)

    def unshown(self, event: StageEvent) -> None:
        """What must be seen may be in it, and no screen has room for it."""
        with self._lock:
            if self._open:
                self.seen.note(cleaned(event))

    @property
    def over(self) -> bool:
        """Whether the attempt was ended meanwhile."""
        return not self._open

    def unless_over(self, what: Callable[[], None]) -> bool:
        """Do what may not happen after the attempt: `close` waits for it. `what` emits nothing. Whether it was done."""
        with self._lock:
            if self._open:
                what()
            return self._open

    def close(self) -> None:
        """End the attempt: no view shows what it does from now on."""
        self.lab.cancel.set()
        with self._lock:
            self._open = False
