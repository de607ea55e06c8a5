"""Splits a byte stream into lines, and finds the line with a remote shell's pid."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

LONGEST_LINE: Final = 64 * 1024  # a longer one is passed on in pieces, to bound memory and time
_PID: Final = re.compile(rb"lab-pid:([0-9]{1,9})\n")


class LineCutter:
    """Calls `on_line` for each whole line, and in `end` for the rest without a newline."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self._on_line = on_line
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        if self._on_line is None:
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._on_line(line.decode("utf-8", "replace"))
        if len(self._rest) > LONGEST_LINE:
            self.end()

    def end(self) -> None:
        if self._on_line is not None and self._rest:
            self._on_line(self._rest.decode("utf-8", "replace"))
            self._rest = b""


class PidLine:
    """Removes everything up to the first `lab-pid:N` line from a stream and passes the rest on unchanged.

    Output before that line is from the server or a start-up file, not from the program. A stream whose first
    64 KiB hold no such line is passed on unchanged.
    """

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self.value: int | None = None
        self._sink = sink
        self._held: bytes | None = b""

    def feed(self, chunk: bytes) -> None:
        if self._held is None:
            self._sink(chunk)
            return
        self._held += chunk
        if found := _PID.search(self._held):
            self.value = int(found[1])
            rest, self._held = self._held[found.end() :], None
            if rest:
                self._sink(rest)
        elif len(self._held) > LONGEST_LINE:
            self.end()

    def end(self) -> None:
        """Pass on the data held back if there was no such line."""
        held, self._held = self._held, None
        if held:
            self._sink(held)
