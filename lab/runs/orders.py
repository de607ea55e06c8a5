"""Orders to a standby process, and its events as they come: one shell in the machine, which `tail` and orders share.

Nothing is started there per order or per look: it would take the CPU that is being watched.
"""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Iterator
from typing import Final, Self

from lab.guest.wire import EVENTS_FILE, GuestRecord, WireError, dump, load
from lab.guest.wire.live import LIVE_KINDS, Accepted, LiveEvent, Order, OrderEnded, Refused, live_from_json
from lab.model.errors import DemoError, LabError, Locked, TransientError, UsageError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.runs.drive import RECONNECTS, Connect, Site
from lab.system.wait import Deadline

LONGEST_S: Final = 86400.0
MOST: Final = 256 << 20  # bytes of one session
ANSWER_S: Final = 60.0  # without any answer for so long, the process hangs
SPARE_S: Final = 30.0  # beyond the guest's own limit: for what is on its way
CLOSE_S: Final = 5.0
SAID: Final = 300  # bytes of a complaint
GONE: Final = 69  # the script's exit code: no such process

# $1 pid, $2 the guest's folder, $3 the byte to go on from ("": the end). Prints that byte, then what is appended.
# Each line of standard input is an order's id and the order, or `stop` and the id of the order that is to end ("": the
# one that runs). It ends with its input, or with the process.
# The order is a file until it is taken, and another one afterwards: one that is sent twice is given once.
_SESSION: Final = f"""tr '\\0' ' ' < "/proc/$1/cmdline" 2>/dev/null | grep -q ' standby ' || exit {GONE}
while [ ! -e "$2/{EVENTS_FILE}" ]; do # a process that has just started
    kill -0 "$1" || exit {GONE}
    sleep 0.1
done
orders=$2/orders
at=${{3:-$(wc -c < "$2/{EVENTS_FILE}")}}
echo "$at"
(tail -c "+$((at + 1))" -f -s 0.5 --pid="$1" "$2/{EVENTS_FILE}"; kill -s TERM $$) &
while read -r id order; do
    if [ "$id" = stop ]; then
        : > "$orders/${{order:+$order.}}stop"
    elif [ -e "$orders/$id.json" ] || [ -e "$orders/$id.taken" ]; then
        continue
    else
        printf '%s\\n' "$order" > "$orders/.$id" && mv "$orders/.$id" "$orders/$id.json"
    fi
    kill -s USR1 "$1"
done
kill 0
"""


def new_id() -> str:
    return secrets.token_hex(6)


def exited(fix: str = "run lab restore again, or lab snapshot --form …", why: str = "") -> DemoError:
    return DemoError(f"the standby process exited{why and f': {why}'}", fix=fix)


class OrderSession:
    """A line to one standby process; use it as a context manager. Reconnects after a lost connection.

    Raises what `connect` raises, and DemoError when the process is not there (any more).
    """

    def __init__(self, lab: Lab, connect: Connect, site: Site, pid: int, *, at: int | None = None) -> None:
        """at: the byte of the events to begin with; None: only what comes from now on."""
        self._lab, self._connect, self._site, self._pid = lab, connect, site, pid
        self._at, self._rest, self._head = at, b"", True
        self._records: queue.SimpleQueue[GuestRecord | LabError | None] = queue.SimpleQueue()
        self._input: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._order = ""  # the id of the own order that runs
        self._given = b""  # it and its stop, for a connection that is made again
        self._said = b""  # what the shell complained of last, as that it cannot write an order
        self._swap = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="orders", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._next(Deadline.after(ANSWER_S, self._lab.cancel))  # that a connection stands, or why not
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave; an order that runs goes on to its own end."""
        self._closed.set()
        self._send(None)
        self._thread.join(CLOSE_S)

    def records(self, deadline: Deadline) -> Iterator[GuestRecord]:
        """What the process tells from where this session began, until the deadline."""
        while True:
            record = self._next(deadline)
            if record is not None:
                yield record

    def give(self, order: Order, *, slower: float = 1.0) -> Iterator[LiveEvent]:
        """Begin the order now; its events, the last one an OrderEnded. slower: a guest second takes so many here.

        The iterator raises Locked when another order runs, UsageError when the process refuses this one.
        """
        self._order, self._given = order.id, f"{order.id} {dump(order)}\n".encode()
        self._send(self._given)
        return self._events(order, slower)

    def stop(self) -> None:
        """End the own order, wherever it is on its way; without one, the order of another session that runs."""
        line = f"stop {self._order}\n".encode()
        if self._order:
            self._given += line
        self._send(line)

    def _send(self, line: bytes | None) -> None:
        with self._swap:
            self._input.put(line)

    def _events(self, order: Order, slower: float) -> Iterator[LiveEvent]:
        deadline = Deadline.after(ANSWER_S * slower, self._lab.cancel)
        while True:
            record = self._next(deadline)
            if record is None or record.kind not in LIVE_KINDS or record.data.get("order") != order.id:
                continue
            event = live_from_json(record.kind, record.data)
            if isinstance(event, Accepted):
                deadline = Deadline.after((event.limit_s + SPARE_S) * slower, self._lab.cancel)
            if isinstance(event, Refused | OrderEnded):
                self._order, self._given = "", b""
            if isinstance(event, Refused):
                if event.running:
                    raise Locked(event.reason, fix="wait for its end, or stop it")
                raise UsageError(f"the order was refused: {event.reason}", fix="name what is on standby")
            yield event
            if isinstance(event, OrderEnded):
                return

    def _next(self, deadline: Deadline) -> GuestRecord | None:
        """The next record; None: a connection stands."""
        while True:
            try:
                record = self._records.get(timeout=min(0.2, deadline.left_s() + 0.001))
            except queue.Empty:
                deadline.sleep(0.0)  # raises Cancelled
                if deadline.passed():
                    text = "the standby process does not answer"
                    raise DemoError(
                        f"{text}{self._why and f': {self._why}'}", fix="lab logs, then lab restore"
                    ) from None
                continue
            if isinstance(record, LabError):
                raise record
            return record

    # --- the thread -------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        left = RECONNECTS
        try:
            while not self._closed.is_set():
                try:
                    self._talk()
                except TransientError as error:
                    left -= 1
                    if left < 0:
                        raise
                    if not self._closed.is_set():
                        self._lab.bus.emit(Notice(level="warning", text=f"{error.message}; connecting again"))
        except LabError as error:
            self._records.put(error)

    def _talk(self) -> None:
        """One connection to its end. Raises TransientError when it is lost, DemoError when the process ended."""
        self._head, self._rest = True, b""
        with self._swap:
            self._input.put(None)  # ends the feeder of a connection that was lost
            self._input = given = queue.SimpleQueue[bytes | None]()
            given.put(self._given)
            if self._closed.is_set():
                given.put(None)
        at = "" if self._at is None else str(self._at)
        argv = ["sh", "-c", _SESSION, "orders", str(self._pid), self._site.out, at]
        with self._connect() as transport:
            forever = Deadline.after(LONGEST_S, self._lab.cancel)
            lines = iter(given.get, None)
            transport.pipe(argv, forever, stdin=lines, out=self._feed, err=self._complain, max_output=MOST)
        if not self._closed.is_set():
            raise exited(why=self._why)

    def _complain(self, chunk: bytes) -> None:
        self._said = (self._said + chunk)[-SAID:]

    @property
    def _why(self) -> str:
        """The last complaint of the shell; "" where it has none."""
        return self._said.decode(errors="replace").strip().rpartition("\n")[2]

    def _feed(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if self._head:
                self._at, self._head = int(line), False
                self._records.put(None)
                continue
            assert self._at is not None
            self._at += len(line) + 1
            try:
                self._records.put(load(GuestRecord, line))
            except WireError:
                continue  # a torn line from a killed guest half
