"""One Record per line on stdout, for programs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import Self, TextIO

from lab.model.events import Record


class JsonLines:
    """Writes each record as it comes; a closed pipe ends the writing, not the work."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream: TextIO | None = stream or sys.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        return None

    def __call__(self, record: Record) -> None:
        if self._stream is None:
            return
        try:
            print(json.dumps(record.to_json(), ensure_ascii=False), file=self._stream, flush=True)
        except BrokenPipeError:
            self._drop(self._stream)

    def _drop(self, stream: TextIO) -> None:
        """Nobody reads any more. What the stream still holds goes nowhere, or Python would fail on it at its exit."""
        self._stream = None
        with contextlib.suppress(io.UnsupportedOperation):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
