"""Counts the garbage collections of Go processes, which their runtime reports on stderr (GODEBUG=gctrace=1).

One collection more or less is most of what a counted cell differs from the next by: see lab/verdict/evened.py.
"""

from __future__ import annotations

import re
from pathlib import Path

# Go writes a report in pieces, so that what a program prints meanwhile lies between two of them. This is one piece.
PIECE = b" MB goal, "
REPORT = re.compile(r"^gc \d+ @\d+\.\d+s \d+%: [^a-z]+ ms clock, .* MB goal, .* P( \(forced\))?$")
ASKED = "gctrace=1"
ENV = "GODEBUG"


def reporting(env: dict[str, str]) -> dict[str, str]:
    """The environment of a process that reports its collections; what it already sets there is kept."""
    return {**env, ENV: ",".join(filter(None, (env.get(ENV, ""), ASKED)))}


def without_reports(text: str) -> str:
    """What a process wrote to stderr itself; a line that a report was mixed into stays as it is."""
    return "".join(line for line in text.splitlines(keepends=True) if not REPORT.match(line.rstrip("\n")))


class GcLog:
    """The collections in one growing file; each call reads what is new. Lines are whole when nothing runs."""

    def __init__(self, path: Path) -> None:
        self._path, self._read, self._count = path, 0, 0

    def count(self) -> int:
        """Collections so far; those of a file that is not there are none."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._read)
                new = file.read()
        except OSError:
            return self._count
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        self._count += whole.count(PIECE)
        return self._count
