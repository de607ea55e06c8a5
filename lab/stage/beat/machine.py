"""The cast of a real machine: what a show asks of it goes through the flows."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from lab.flows import live as lines
from lab.flows import snapshot, standby
from lab.flows.request import DemoRequest
from lab.machines import lifecycle, snapshots
from lab.model import live
from lab.model.errors import LabError
from lab.model.lab import Lab
from lab.stage.beat.cast import Alive
from lab.system.wait import Deadline

TAG: Final = "stage"
STOP_S: Final = 3.0  # an order ends within a second of `stop`
ENDS_S: Final = 3.0  # under emulation; only after a line was lost


@dataclass(slots=True, kw_only=True)
class LiveMachine:
    """A machine of this home with the forms of a show on standby in it; one line to them, made when it is needed."""

    lab: Lab
    machine: str
    asked: DemoRequest
    _line: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _cast: live.Cast | None = None
    _restoring: bool = False
    _orphan: bool = False
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _making: threading.Lock = field(default_factory=threading.Lock)

    @property
    def clock(self) -> Literal["real", "counted"]:
        found = lifecycle.machine(self.lab, self.machine)
        return found.clock if found is not None else "real"

    @property
    def emulated(self) -> bool:
        found = lifecycle.machine(self.lab, self.machine)
        return found is not None and found.accel == "tcg"

    @property
    def live(self) -> live.Cast:
        with self._making:
            if self._cast is None:
                self._cast = self._line.enter_context(lines.opened(self.lab, self.machine))
            return self._cast

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the line while an order is followed. Its failure drops the line: the next order gets a new one."""
        with self._turn:
            try:
                yield
            except LabError:
                self._drop()
                self._orphan = True  # the order may still run in the machine
                raise

    def settle(self, deadline: Deadline) -> None:
        """End an order that an earlier attempt left running. One that does not end is left behind with its line."""
        if not self._turn.locked():
            if self._orphan:
                self.live.stop()
                deadline.sleep(ENDS_S)
                self._orphan = False
            return
        if self._cast is not None:
            self._cast.stop()
        if self._turn.acquire(timeout=min(STOP_S, max(0.1, deadline.left_s()))):
            self._turn.release()
            return
        self._drop()
        self._orphan = True
        self._turn = threading.Lock()  # the other one is held by a thread that nobody waits for

    def alive(self) -> Alive:
        if self._restoring:
            return "restoring"
        try:
            found = lifecycle.glance(self.lab, self.machine)
        except LabError:
            return "gone"
        return "up" if found.phase == "running" else "silent" if found.phase in ("hung", "broken") else "gone"

    def restore(self, deadline: Deadline) -> str:
        """From the snapshot; where the machine has none the forms are started again."""
        del deadline  # the flows have their own
        self._drop()
        self._restoring, self._orphan = True, False
        try:
            return self._restored()
        finally:
            self._restoring = False

    def _restored(self) -> str:
        if TAG not in snapshots.names(self.lab, self.machine):
            standby.start(self.lab, self.machine, self.asked)
            return f"the forms of machine {self.machine} were started again: it has no snapshot"
        came = snapshot.restore(self.lab, self.machine, TAG, fallback=True)
        how = "restored" if came.went.restored else f"booted instead: {came.went.reason}"
        bad = f"; NOT PROVEN: {', '.join(came.failed)}" if came.failed else ""
        return f"machine {self.machine} is back after {came.went.seconds:.1f} s, {how}{bad}"

    def close(self) -> None:
        with contextlib.suppress(LabError):
            if self._cast is not None and self._turn.locked():
                self._cast.stop()
        self._drop()

    def _drop(self) -> None:
        with self._making:
            line, self._line, self._cast = self._line, contextlib.ExitStack(), None
        # a line to a machine that hangs takes its time to end: nobody waits for it
        threading.Thread(target=_end, args=(line,), name="line", daemon=True).start()


def _end(line: contextlib.ExitStack) -> None:
    with contextlib.suppress(LabError):
        line.close()
