"""JSON lines from a pipe or a socket, read as they come without waiting."""

from __future__ import annotations

import json
import os
from typing import Any


class LineStream:
    """Owns the descriptor; `closed`: the other side has ended. head: what was read of it already."""

    def __init__(self, fd: int, head: bytes = b"") -> None:
        os.set_blocking(fd, False)
        self._fd, self._rest = fd, head
        self.closed = False

    def fileno(self) -> int:
        return self._fd

    def read(self) -> list[dict[str, Any]]:
        """The objects of the whole lines that have come."""
        while not self.closed:
            try:
                more = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                break
            except OSError:
                more = b""
            self._rest += more
            self.closed = not more
        *lines, self._rest = self._rest.split(b"\n")
        return [doc for doc in map(_object, lines) if doc is not None]

    def close(self) -> None:
        os.close(self._fd)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        doc = json.loads(line)
    except ValueError:
        return None
    return doc if isinstance(doc, dict) else None
