"""Counts the garbage collections of Go processes, which their runtime reports on stderr (GODEBUG=gctrace=1).

One collection more or less is most of what a counted cell differs from the next by: see lab/verdict/cells/evened.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# Go writes a report in pieces, so that what a program prints meanwhile lies between two of them. This is one piece.
PIECE = b" MB goal, "
REPORT = re.compile(r"^gc \d+ @\d+\.\d+s \d+%: [^a-z]+ ms clock, .* MB goal, .* P( \(forced\))?$")
# and CPU milliseconds: sweep termination, assists of the program/background/idle, mark termination
CPU = re.compile(rb"^gc \d+ @.* ms clock, ([\d.]+)\+([\d.]+)/([\d.]+)/([\d.]+)\+([\d.]+) ms cpu, .* MB goal, ")
ASKED = "gctrace=1"
ENV = "GODEBUG"


def reporting(env: dict[str, str]) -> dict[str, str]:
    """The environment of a process that reports its collections; what it already sets there is kept."""
    return {**env, ENV: ",".join(filter(None, (env.get(ENV, ""), ASKED)))}


def without_reports(text: str) -> str:
    """What a process wrote to stderr itself; a line that a report was mixed into stays as it is."""
    return "".join(line for line in text.splitlines(keepends=True) if not REPORT.match(line.rstrip("\n")))


@dataclass(frozen=True)
class Collected:
    """Collections of one process. cpu_s: CPU seconds of those whose report is whole, at most, by the runtime's own
    clock: where another process ran in between, its time is in it. whole: how many of the reports are."""

    number: int = 0
    cpu_s: float = 0.0
    whole: int = 0

    def since(self, earlier: Collected) -> Collected:
        return Collected(self.number - earlier.number, self.cpu_s - earlier.cpu_s, self.whole - earlier.whole)


class GcLog:
    """The collections in one growing file; each call reads what is new. Lines are whole when nothing runs."""

    def __init__(self, path: Path) -> None:
        self._path, self._read, self._so_far = path, 0, Collected()

    def so_far(self) -> Collected:
        """Those of a file that is not there are none."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._read)
                new = file.read()
        except OSError:
            return self._so_far
        new = new[: new.rfind(b"\n") + 1]
        self._read += len(new)
        lines = [found.groups() for found in map(CPU.match, new.splitlines()) if found]
        self._so_far = Collected(
            self._so_far.number + new.count(PIECE),
            self._so_far.cpu_s + sum(float(ms) for line in lines for ms in line) / 1e3,
            self._so_far.whole + len(lines),
        )
        return self._so_far
