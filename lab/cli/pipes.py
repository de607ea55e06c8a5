"""This process's own three streams, as a command in a machine gets them: unbuffered, byte for byte.

Plain reads and writes, in threads: a terminal that nobody types into, a pipe that nobody reads and a closed stream are
all the same on Linux, macOS and Windows.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import IO, Any, Final, TextIO

from lab.system.pumps import Sink

CHUNK_BYTES: Final = 65536
PAUSE_S: Final = 0.02
NOBODY_READS: Final = 128 + 13  # as a shell tells that SIGPIPE ended a program


def given() -> Iterator[bytes]:
    """Standard input as it comes; nothing where it is closed.

    The number is read and never `sys.stdin`: its lock would hold up the end of a process whose thread waits for a line.
    """
    if sys.stdin is None:  # closed by whoever started us: the number may be another file's by now
        return iter(())
    if hasattr(signal, "SIGTTIN"):  # in the background a terminal has no input, which is no reason to stop
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    try:
        number = sys.stdin.fileno()
    except (OSError, ValueError):
        return iter(())
    return _read(number)


def _read(number: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(number, CHUNK_BYTES)
        except BlockingIOError:  # somebody else made it non-blocking
            threading.Event().wait(PAUSE_S)
            continue
        except OSError:  # a folder, or a terminal that is not ours now
            return
        if not chunk:
            return
        yield chunk


def sink(stream: TextIO | None) -> Sink:
    """Writes each chunk whole and at once. Raises OSError, as when nobody reads any more."""
    if stream is None:
        return lambda _: None
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
    raw: IO[bytes] | Any = getattr(stream.buffer, "raw", stream.buffer)

    def write(chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            written = raw.write(rest)
            if written is None:  # it takes nothing just now
                threading.Event().wait(PAUSE_S)
            else:
                rest = rest[written:]

    return write
