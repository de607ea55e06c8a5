"""Moving bytes between a channel's three streams and their users, each in its own thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from lab.remote.lines import LineCutter, PidLine

CHUNK_BYTES: Final = 32768


class Channel(Protocol):
    """What is needed of an SSH channel."""

    def recv(self, nbytes: int, /) -> bytes: ...

    def recv_stderr(self, nbytes: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> object: ...

    def shutdown_write(self) -> None: ...

    def close(self) -> None: ...


class Gather:
    """Everything that came, and its lines as they come."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self.data = bytearray()
        self._lines = LineCutter(on_line)

    def feed(self, chunk: bytes) -> None:
        self.data.extend(chunk)
        self._lines.feed(chunk)

    def end(self) -> None:
        self._lines.end()


class Pumps:
    """Reads both streams to their ends while writing standard input: none of the three may block another."""

    def __init__(self, channel: Channel, stdin: Iterator[bytes], on_line: Callable[[str], None] | None) -> None:
        self.out, self.err = Gather(on_line), Gather(on_line)
        self.pid = PidLine(self.err.feed)
        self._channel = channel
        self._failures: list[BaseException] = []
        self._readers = (
            self._go(lambda: _pump(channel.recv, self.out.feed)),
            self._go(lambda: _pump(channel.recv_stderr, self.pid.feed)),
        )
        self._go(lambda: _feed(channel, stdin))

    def ended(self, timeout_s: float) -> bool:
        """Whether both streams have ended, waiting up to `timeout_s`; raises what a consumer raised."""
        for thread in self._readers:
            thread.join(timeout_s)
        if self._failures:
            raise self._failures[0]
        if any(thread.is_alive() for thread in self._readers):
            return False
        for part in (self.pid, self.out, self.err):
            part.end()
        return True

    def _go(self, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # raised again by the caller's thread
                self._failures.append(error)
                close(self._channel)

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread


class Broken(Exception):  # not an error of ours to show: the transport turns it into one
    """The connection went away under a read; bytes may be missing, whatever the exit code says."""


def receive(read: Callable[[int], bytes]) -> bytes:
    """One chunk, empty at the end of the stream. Raises TimeoutError as `read` does, and Broken."""
    try:
        return read(CHUNK_BYTES)
    except TimeoutError:
        raise
    except Exception as error:  # the SSH library raises many kinds here, some of its own
        raise Broken(str(error) or type(error).__name__) from error


def close(channel: Channel) -> None:
    """Close, also when the connection under it is gone already (which makes the SSH library raise)."""
    with contextlib.suppress(Exception):
        channel.close()


def _pump(read: Callable[[int], bytes], sink: Callable[[bytes], None]) -> None:
    while chunk := receive(read):
        sink(chunk)


def _feed(channel: Channel, chunks: Iterable[bytes]) -> None:
    # a program may end without reading all of its input; its exit code tells whether that was right
    with contextlib.suppress(OSError, EOFError):
        for chunk in chunks:
            channel.sendall(chunk)
        channel.shutdown_write()
