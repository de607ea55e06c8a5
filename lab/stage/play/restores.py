"""Restores of machines, one at a time for each: two of the same machine at once would fight over it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lab.model.errors import DemoError
from lab.stage.beat.cast import StageMachine
from lab.system.wait import Deadline

POLL_S: Final = 0.05


@dataclass(slots=True)
class _Restore:
    """One that goes on, or has just ended."""

    told: str = ""
    error: BaseException | None = None
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Restores:
    """Those that go on, by the name of the machine.

    A key leaves a restore, which goes on to its end beside the show: another one of that machine waits for it.
    """

    _going: dict[str, _Restore] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def goes_on(self, machine: str) -> bool:
        with self._lock:
            return machine in self._going

    def waited(self, machine: str, deadline: Deadline) -> None:
        """Let the one that goes on come to its end, whatever that is. Raises Cancelled."""
        while self.goes_on(machine) and not deadline.passed():
            deadline.sleep(POLL_S)

    def joined(self, machine: str, deadline: Deadline) -> str:
        """Wait for the one that goes on; how it went, "" without one. Raises what it raised."""
        with self._lock:
            going = self._going.get(machine)
        return _end_of(going, machine, deadline) if going is not None else ""

    def begun(self, cast: StageMachine, then: Callable[[], None] = lambda: None) -> Callable[[Deadline], str]:
        """What restores it, or waits for the restore that goes on. It counts as one that goes on from now: call it.

        then: what is done once it is back; the restore goes on until that is done.
        """
        with self._lock:
            going = self._going.get(cast.machine)
            own = _Restore()
            if going is None:
                self._going[cast.machine] = own
        if going is not None:
            return lambda deadline: _end_of(going, cast.machine, deadline)
        return lambda deadline: self._restored(cast, own, deadline, then)

    def _restored(self, cast: StageMachine, own: _Restore, deadline: Deadline, then: Callable[[], None]) -> str:
        try:
            own.told = cast.restore(deadline)
            then()
        except BaseException as error:
            own.error = error
            raise
        finally:
            with self._lock:
                del self._going[cast.machine]
            own.ended.set()
        return own.told


def _end_of(going: _Restore, machine: str, deadline: Deadline) -> str:
    while not going.ended.is_set():
        if deadline.passed():
            raise DemoError(f"machine {machine} is still being restored", fix="wait for it, or press t: the take")
        deadline.sleep(POLL_S)
    if going.error is not None:
        raise going.error
    return going.told
