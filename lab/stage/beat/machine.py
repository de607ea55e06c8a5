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
from lab.model.errors import DemoError, LabError, UsageError
from lab.model.lab import Lab
from lab.model.live import Cast
from lab.model.machine import Phase
from lab.stage.beat.cast import Alive
from lab.system.wait import Deadline

TAG: Final = "stage"
STOP_S: Final = 3.0  # an order ends within a second of `stop`
# unknown: it cannot be reached or asked, and may be all right; the others are not running
ALIVE: Final[dict[Phase, Alive]] = {"running": "up", "hung": "silent", "broken": "silent", "unknown": "silent"}
ENDS_S: Final = 3.0  # under emulation; only after a line was lost


@dataclass(slots=True, kw_only=True)
class LiveMachine:
    """A machine of this home with the forms of a show on standby in it; one line to them, made when it is needed.

    _era: how many lines were let go of. What was begun in an earlier one has no say in this one.
    """

    lab: Lab
    machine: str
    asked: DemoRequest
    attached: set[str] = field(default_factory=set)
    _line: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _cast: Cast | None = None
    _restoring: bool = False
    _orphan: bool = False
    _era: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _making: threading.Lock = field(default_factory=threading.Lock)
    _settling: threading.Lock = field(default_factory=threading.Lock)

    @property
    def clock(self) -> Literal["real", "counted"]:
        found = lifecycle.machine(self.lab, self.machine)
        return found.clock if found is not None else "real"

    @property
    def emulated(self) -> bool:
        found = lifecycle.machine(self.lab, self.machine)
        return found is not None and found.accel == "tcg"

    @property
    def live(self) -> Cast:
        """Connects outside of the lock: a machine that hangs answers after a minute, and panic does not wait for it."""
        with self._making:
            if self._cast is not None:
                return self._cast
            era = self._era
        line = contextlib.ExitStack()
        made = line.enter_context(lines.opened(self.lab, self.machine))
        kept = self._keep(line, made, era)
        if kept is not made:
            _let_go(line)
        if kept is None:
            message = f"the line to machine {self.machine} was let go of while it was made"
            raise DemoError(message, fix="press r: the beat again")
        return kept

    def _keep(self, line: contextlib.ExitStack, made: Cast, era: int) -> Cast | None:
        """The line of this era: the first of those that were made at once. None: the era is over."""
        with self._making:
            if era != self._era:
                return None
            if self._cast is None:
                self._line, self._cast = line, made
            return self._cast

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the line while an order is followed. Its failure drops the line: the next order gets a new one."""
        with self._turn:
            era = self._era
            try:
                yield
            except LabError:
                self._drop(era)
                raise

    def settle(self, deadline: Deadline) -> None:
        """End an order that an earlier attempt left running. One that does not end is left behind with its line.

        One at a time: what the one before gives to the machine is no order that was left.
        """
        settling = self._settling
        if settling.acquire(timeout=max(0.1, deadline.left_s())):
            try:
                self._end_order(deadline)
                self._detach()
            finally:
                settling.release()

    def _detach(self) -> None:
        """An agent that stayed would be part of what the next beat calls the baseline."""
        for form in sorted(self.attached):
            with self.turn(), contextlib.suppress(UsageError):  # a form that is not on standby has no agent
                for _ in self.live.detach(form):
                    pass
            self.attached.discard(form)

    def _end_order(self, deadline: Deadline) -> None:
        turn, era, cast = self._turn, self._era, self._cast
        if not turn.locked():
            if self._orphan:
                self.live.stop()
                deadline.sleep(ENDS_S)
                self._orphan = False
            return
        if cast is not None:
            cast.stop()
        if turn.acquire(timeout=min(STOP_S, max(0.1, deadline.left_s()))):
            turn.release()
            return
        self._drop(era)

    def alive(self) -> Alive:
        if self._restoring:
            return "restoring"
        try:
            found = lifecycle.glance(self.lab, self.machine)
        except LabError:
            return "silent"
        return ALIVE.get(found.phase, "gone")

    def restore(self, deadline: Deadline) -> str:
        """From the snapshot; where the machine has none the forms are started again."""
        del deadline  # the flows have their own
        self._restoring = True
        try:
            self._drop()
            told = self._restored()
            self.attached.clear()
            return told
        finally:
            self._drop()  # a line that was made meanwhile leads to the machine as it was
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

    def _drop(self, of: int | None = None) -> None:
        """Let go of the line, and of the threads that wait for it. of: the era of a line that failed, which may be
        over; its order may still run in the machine."""
        with self._making:
            if of not in (None, self._era):
                return
            line, self._line, self._cast = self._line, contextlib.ExitStack(), None
            self._era += 1
            self._orphan = of is not None
            self._turn, self._settling = threading.Lock(), threading.Lock()
        _let_go(line)


def _let_go(line: contextlib.ExitStack) -> None:
    """End a line in a thread of its own: to a machine that hangs that takes its time."""
    threading.Thread(target=_end, args=(line,), name="line", daemon=True).start()


def _end(line: contextlib.ExitStack) -> None:
    with contextlib.suppress(LabError):
        line.close()
