"""The orders of a standby process: files that the host puts into its folder, with SIGUSR1 to wake it.

ID.json is an order that is not taken yet; it becomes ID.taken, so that a host that lost its connection sees it arrived.
ID.stop ends the order of that id, also when it came first; `stop` ends whichever runs. One order runs at a time:
another is refused at once, also in the middle of a wait.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections import deque
from pathlib import Path

from lab.guest.linux.ending import content
from lab.guest.linux.waiting import Cancel, Stopped
from lab.guest.run.journal import Journal
from lab.guest.wire import WireError, load
from lab.guest.wire.live import LiveEvent, Order, OrderEnded, Refused, live_to_json

ORDERS_DIR = "orders"
STOP_FILE = "stop"
STOPPED = ".stop"
WAKE = signal.SIGUSR1
LOOK_S = 5.0


class OrderStopped(Exception):
    """The order that runs is to end now."""


class Orders(Cancel):
    """Takes the place of the run's Cancel, which every wait looks at: so an order is stopped, or refused, meanwhile."""

    def __init__(self, out: Path, journal: Journal, cancel: Cancel) -> None:
        super().__init__()
        self.folder = out / ORDERS_DIR
        self.folder.mkdir(exist_ok=True, mode=0o700)
        self._journal, self._cancel = journal, cancel
        self._running: Order | None = None
        self._waiting: deque[Order] = deque()
        self._owed: list[OrderEnded | Refused] = []  # could not be written yet
        self.woken, wake = os.pipe()
        for end in (self.woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)  # a wait ends with the signal, not at its next look
        signal.signal(WAKE, lambda *_: None)

    def tell(self, event: LiveEvent) -> None:
        doc = live_to_json(event)
        self._journal.emit(doc["kind"], **doc["data"])

    def end(self, event: OrderEnded | Refused) -> None:
        """Tell the end of an order: later, where the disk is full. It ends no form."""
        self._owed.append(event)
        self._pay()

    def _pay(self) -> None:
        docs = [live_to_json(event) for event in self._owed]
        while docs and self._journal.emit_last(docs[0]["kind"], **docs[0]["data"]):
            del docs[0], self._owed[0]

    def next(self) -> Order:
        """Wait for an order, which runs from then on until `done`. Raises Stopped."""
        while True:
            self._pay()
            self._journal.reserve()
            self._look()
            if self._waiting:
                self._running = self._waiting.popleft()
                return self._running
            (self.folder / STOP_FILE).unlink(missing_ok=True)  # of an order that has ended
            if self._cancel.asked:
                raise Stopped
            select.select([self.woken], [], [], LOOK_S)

    def done(self) -> None:
        self._running = None

    def check(self) -> None:
        """Raises Stopped, OrderStopped."""
        self._cancel.check()
        if self._drained():
            self._look()
        # looked at each time: its signal may have come together with the order's
        if self._running is not None and self._running.kind != "reprove" and self._stopped(self._running.id):
            raise OrderStopped

    def _stopped(self, ident: str) -> bool:
        """Whether a stop is there; each is used once."""
        found = [path for path in (self.folder / (ident + STOPPED), self.folder / STOP_FILE) if path.exists()]
        for path in found:
            path.unlink()
        return bool(found)

    def _drained(self) -> bool:
        try:
            return bool(os.read(self.woken, 4096))
        except BlockingIOError:
            return False

    def _look(self) -> None:
        self._drained()
        for path in sorted(self.folder.glob("[!.]*.json")):
            order, why = _read(path)
            with contextlib.suppress(FileNotFoundError):
                path.replace(path.with_suffix(".taken"))
            running = self._running or (self._waiting[0] if self._waiting else None)
            if running is not None and not why:
                why = "the order %s (%s) still runs" % (running.id, running.kind)
            if why or order is None:
                other = running.id if running is not None else ""
                self.end(Refused(order=path.stem, at_ns=time.time_ns(), reason=why, running=other))
            else:
                self._waiting.append(order)


def _read(path: Path) -> tuple[Order | None, str]:
    try:
        order = load(Order, content(str(path)))
    except (OSError, WireError) as error:
        return None, "it cannot be read: %s" % error
    return order, "" if order.id == path.stem else "its id is %s" % order.id
