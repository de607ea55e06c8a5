"""How long whole commands take: each sample is a process of its own."""

from __future__ import annotations

import sys
import time

from lab.model.errors import LabError
from lab.model.lab import Lab
from lab.system import proc
from lab.system.wait import Deadline
from tests.bench import targets
from tests.bench.figure import Figure

LIMIT_S = 900.0


def lab_argv(lab: Lab, *words: str) -> list[str]:
    """This checkout's `lab` with the benchmark's home."""
    return [sys.executable, "-m", "lab", *words, "--home", str(lab.paths.home)]


def once(argv: list[str]) -> float:
    """Seconds that one run of the command takes. Raises LabError when it fails."""
    began = time.monotonic()
    proc.check(argv, deadline=Deadline.after(LIMIT_S), error=LabError, fix="run it by hand")
    return time.monotonic() - began


def timed(argv: list[str], runs: int) -> tuple[float, ...]:
    """Seconds of each run, after one that is not counted."""
    once(argv)
    return tuple(once(argv) for _ in range(runs))


def measure(lab: Lab, runs: int) -> list[Figure]:
    """The commands that people type most."""
    listing = timed([sys.executable, "-m", "lab", "--help"], runs)
    return [
        Figure(name="lab --help", samples=listing, target=targets.HELP_S),
        Figure(name="lab status", samples=timed(lab_argv(lab, "status"), runs), target=targets.STATUS_S),
    ]
