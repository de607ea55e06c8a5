"""Moves bytes between a program's three streams and their users, each in its own thread, with one size limit."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, Final

from lab.model.errors import ProvisioningError
from lab.system.lines import LineCutter

CHUNK_BYTES: Final = 32768
MAX_OUTPUT: Final = 64 << 20
Read = Callable[[int], bytes]
Sink = Callable[[bytes], None]
Stream = tuple[Read, Sink, Callable[[], None]]  # the last closes it


def nothing() -> None:
    """Closes nothing, stops nothing."""


class TooMuchOutput(ProvisioningError):
    """A program printed more than its caller accepts."""


class Budget:
    """Counts a program's output on all streams; `limit` None is only for a pipe of the user's."""

    def __init__(self, what: str, limit: int | None) -> None:
        self._what, self._limit = what, limit
        self._used = 0
        self._lock = threading.Lock()

    def of(self, sink: Sink) -> Sink:
        """`sink`, which raises TooMuchOutput beyond the limit."""

        def counted(chunk: bytes) -> None:
            with self._lock:
                self._used += len(chunk)
                over = self._limit is not None and self._used > self._limit
            if over:
                raise TooMuchOutput(
                    f"{self._what} printed more than {self._limit} bytes and was ended",
                    fix="check its output: lab exec -- COMMAND | head",
                )
            sink(chunk)

        return counted


class Gather:
    """Collects all data, passes on its lines as they arrive, and copies it to `log`."""

    def __init__(self, on_line: Callable[[str], None] | None = None, log: IO[bytes] | None = None) -> None:
        self.data = bytearray()
        self._lines = LineCutter(on_line)
        self._log = log

    def feed(self, chunk: bytes) -> None:
        self.data.extend(chunk)
        if self._log is not None:
            self._log.write(chunk)
            self._log.flush()
        self._lines.feed(chunk)

    def end(self) -> None:
        self._lines.end()


class Pumps:
    """Reads streams to their ends while `feed` writes standard input, without blocking each other.

    A sink that blocks (a pipe without an active reader) blocks its stream: nothing is buffered here. `stop` is
    called when a sink or a read raises.
    """

    def __init__(self, streams: Sequence[Stream], feed: Callable[[], None], stop: Callable[[], None] = nothing) -> None:
        self._failures: list[BaseException] = []
        self._stop = stop
        self._sinking = 0
        self._moved_s = time.monotonic()
        self._readers = [self._go(self._pump, *stream) for stream in streams]
        self._go(feed)

    def ended(self, timeout_s: float) -> bool:
        """Whether all streams have ended, waiting up to `timeout_s`; raises what a read or a sink raised."""
        for thread in self._readers:
            thread.join(timeout_s)
        if self._failures:
            raise self._failures[0]
        return not any(thread.is_alive() for thread in self._readers)

    def join(self, timeout_s: float) -> None:
        """Wait for the readers to end, ignoring their errors."""
        for thread in self._readers:
            thread.join(timeout_s)

    def quiet_s(self) -> float:
        """Seconds without data; 0 while a sink blocks."""
        return 0.0 if self._sinking else time.monotonic() - self._moved_s

    def _pump(self, read: Read, sink: Sink, close: Callable[[], None]) -> None:
        try:
            while chunk := read(CHUNK_BYTES):
                self._sinking += 1
                sink(chunk)
                self._moved_s = time.monotonic()
                self._sinking -= 1
        finally:
            close()

    def _go(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        def guarded() -> None:
            try:
                work(*arguments)
            except BaseException as error:  # noqa: BLE001  # raised again by the caller's thread
                self._failures.append(error)
                self._stop()

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread


def no_longer_read() -> contextlib.AbstractContextManager[None]:
    """A program may end without reading all of its input; its exit code tells whether it succeeded."""
    return contextlib.suppress(OSError, EOFError)
