"""One Record per line on stdout, for programs."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, Self, TextIO

from lab.model.events import Record
from lab.render import wording


def dumps(doc: Mapping[str, Any], stream: TextIO, *, sort_keys: bool = False) -> str:
    """One line of JSON for `stream`: unescaped where it writes UTF-8, escaped where another code page (cp1252) would
    lose characters."""
    return json.dumps(doc, ensure_ascii=not wording.shows_unicode(stream.encoding), sort_keys=sort_keys)


def gone(error: OSError) -> bool:
    """Whether the reader has closed the pipe: on Windows that is EINVAL."""
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


class JsonLines:
    """Writes each record at once; a closed pipe ends the writing, not the command."""

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
            print(dumps(record.to_json(), self._stream), file=self._stream, flush=True)
        except OSError as error:
            if not gone(error):
                raise
            self._drop(self._stream)

    def _drop(self, stream: TextIO) -> None:
        """Redirect the stream to the null device: else Python fails at exit when it flushes the buffer."""
        self._stream = None
        with contextlib.suppress(io.UnsupportedOperation):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
