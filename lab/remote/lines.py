"""Cutting a byte stream into lines, and finding the line in which a remote shell tells its pid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

PID_MARK: Final = b"lab-pid:"


class LineCutter:
    """Calls `on_line` for each whole line; `end` for what is left without a newline."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self._on_line = on_line
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        if self._on_line is None:
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._on_line(line.decode("utf-8", "replace"))

    def end(self) -> None:
        if self._on_line is not None and self._rest:
            self._on_line(self._rest.decode("utf-8", "replace"))
            self._rest = b""


class PidLine:
    """Takes everything up to the first `lab-pid:N` line out of a stream and hands the rest on unchanged.

    What stands before that line is the server's or a start-up file's talk, not the program's.
    """

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self.value: int | None = None
        self._sink = sink
        self._held = b""

    def feed(self, chunk: bytes) -> None:
        if self.value is not None:
            self._sink(chunk)
            return
        self._held += chunk
        _, mark, after = self._held.partition(PID_MARK)
        number, newline, rest = after.partition(b"\n")
        if mark and newline:
            self.value = int(number)
            self._held = b""
            if rest:
                self._sink(rest)

    def end(self) -> None:
        """Hand on what was held back when no such line ever came."""
        if self._held:
            self._sink(self._held)
            self._held = b""
