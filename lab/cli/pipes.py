"""This process's stdin, stdout and stderr for a command in a machine: unbuffered, byte for byte.

Blocking reads and writes in threads: an idle terminal, a pipe without a reader and a closed stream behave the same on
Linux, macOS and Windows.
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
NOBODY_READS: Final = 128 + 13  # a shell's exit code for a program that SIGPIPE ended


def given() -> Iterator[bytes]:
    """Chunks of standard input; none when it is closed.

    Reads the file descriptor, not `sys.stdin`: its lock would block the exit of a process whose thread reads a line.
    """
    if sys.stdin is None:  # closed by the caller: descriptor 0 may be another file by now
        return iter(())
    if hasattr(signal, "SIGTTIN"):  # a background job that reads its terminal would be stopped
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
        except BlockingIOError:  # another process made it non-blocking
            threading.Event().wait(PAUSE_S)
            continue
        except OSError:  # a folder, or a terminal of another foreground job
            return
        if not chunk:
            return
        yield chunk


def sink(stream: TextIO | None) -> Sink:
    """Writes each chunk completely and unbuffered. Raises OSError, for example when the reader has closed the pipe."""
    if stream is None:
        return lambda _: None
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
    raw: IO[bytes] | Any = getattr(stream.buffer, "raw", stream.buffer)

    def write(chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            written = raw.write(rest)
            if written is None:  # the pipe is full
                threading.Event().wait(PAUSE_S)
            else:
                rest = rest[written:]

    return write
