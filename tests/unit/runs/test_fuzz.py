"""Mutated real documents end in a value or in an error of ours, soon and in little memory (report-crashes)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support import ROOT
from tests.unit.runs import fuzz

pytest.importorskip("resource", reason="POSIX tells how much memory a process used")
MOST_MIB = 500
SLOWEST_S = 2.0


def fed(tries: int) -> dict[str, object]:
    """In a process of its own, whose memory is that of the readers."""
    argv = [sys.executable, "-m", "tests.unit.runs.fuzz", str(tries)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    print(told)
    return told


def held(told: dict[str, object]) -> None:
    assert isinstance(told["tries"], dict)
    assert set(told["tries"]) == set(fuzz.SHARES)
    assert isinstance(told["peak_mib"], float)
    assert told["peak_mib"] <= MOST_MIB
    assert isinstance(told["slowest_s"], float)
    assert told["slowest_s"] <= SLOWEST_S, told["slowest"]


def test_report_crashes_some_hundred_mutations() -> None:
    held(fed(400))


@pytest.mark.nightly
def test_report_crashes_twenty_thousand_mutations() -> None:
    told = fed(20_000)
    held(told)
    assert isinstance(told["tries"], dict)
    assert sum(told["tries"].values()) >= 20_000
