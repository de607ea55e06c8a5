"""Figures with their targets, measured by running the real thing; ratios, never a pass or fail."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.flows import report
from lab.machines import acceleration, lifecycle, qemu_args
from lab.model.errors import LabError, UsageError
from lab.model.events import Record, StepFinished
from lab.model.lab import Lab
from lab.model.paths import EVENTS_FILE
from lab.runs.sealed import source
from lab.system import documents, proc
from lab.system.wait import Deadline

LIMIT_S: Final = 900.0
FLOOR_RATIO: Final = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: samples in `unit`, its target where it has one (smaller is better)."""

    name: str
    samples: tuple[float, ...]
    unit: str = "s"
    target: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    def line(self) -> str:
        """One row of the table."""
        target = f"{self.target:.2f}" if self.target is not None else "-"
        ratio = f"{self.median / self.target:.2f}" if self.target else "-"
        numbers = f"{self.median:>10.3f} {min(self.samples):>9.3f} {max(self.samples):>9.3f}"
        return f"{self.name + ' [' + self.unit + ']':<44} {numbers} {target:>9} {ratio:>6}"

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.samples),
            "max": max(self.samples),
            "runs": len(self.samples),
            "target": self.target,
        }


def measure(lab: Lab, group: str, runs: int) -> list[Figure]:
    """The figures of one group. Raises UsageError for an unknown one."""
    from lab.flows import bench_fetch  # which needs `Figure`

    groups: dict[str, Callable[[Lab, int], list[Figure]]] = {
        "cli": _cli,
        "machine": _machine,
        "fetch": bench_fetch.measure,
        "last": _last,
    }
    if group not in groups:
        raise UsageError(f"bench {group}: there are {', '.join(groups)}", fix="lab bench cli")
    return groups[group](lab, runs)


def _timed(argv: list[str], runs: int) -> tuple[float, ...]:
    """Whole-process wall times after one warm-up."""
    samples = []
    for index in range(runs + 1):
        began = time.monotonic()
        proc.check(argv, deadline=Deadline.after(LIMIT_S), error=LabError, fix="run it by hand")
        if index:
            samples.append(time.monotonic() - began)
    return tuple(samples)


def _lab(lab: Lab, *words: str) -> list[str]:
    return [sys.executable, "-m", "lab", *words, "--home", str(lab.paths.home)]


def _cli(lab: Lab, runs: int) -> list[Figure]:
    return [
        Figure(name="lab --help", samples=_timed([sys.executable, "-m", "lab", "--help"], runs), target=0.35),
        Figure(name="lab status", samples=_timed(_lab(lab, "status"), runs), target=0.6),
    ]


def _machine(lab: Lab, runs: int) -> list[Figure]:
    """Cold boots of the golden image to a working command, then second `up`s of the last one."""
    name = "bench"
    cold = []
    for _ in range(max(1, min(runs, 3))):
        lifecycle.down(lab, name)
        began = time.monotonic()
        proc.check(
            _lab(lab, "up", name),
            deadline=Deadline.after(LIMIT_S),
            error=LabError,
            fix="lab up bench",
        )
        cold.append(time.monotonic() - began)
    floor = _floor(lab, name, len(cold))
    again = _timed(_lab(lab, "up", name), runs)
    there = _timed([*_lab(lab, "exec", "--name", name), "--", "true"], runs)
    lifecycle.down(lab, name)
    return [
        Figure(name="lab up, image baked, machine absent", samples=tuple(cold), target=12.0),
        *floor_figures(tuple(cold), floor),
        Figure(name="lab up again", samples=again, target=1.5),
        Figure(name="lab exec -- true", samples=there, target=1.0),
    ]


def floor_figures(cold: tuple[float, ...], floor: tuple[float, ...]) -> list[Figure]:
    """The floor and how far above it `lab up` is; nothing where there is no floor."""
    if not floor:
        return []
    below = Figure(name="floor: that kernel to user space and off", samples=floor)
    ratio = Figure(name="", samples=cold).median / below.median
    return [below, Figure(name="lab up ÷ floor", samples=(ratio,), unit="×", target=FLOOR_RATIO)]


def _floor(lab: Lab, name: str, runs: int) -> tuple[float, ...]:
    """The same kernel, CPUs and memory to one tiny program that ends it: what no machine can be faster than.

    Empty for machines of another provider, and where that program cannot run.
    """
    machine = lifecycle.machine(lab, name)
    data = machine.handle.data if machine is not None and machine.handle is not None else {}
    if "kernel" not in data:
        return ()
    samples = []
    for _ in range(runs):
        began = time.monotonic()
        program = proc.need(qemu_args.PROGRAMS[data["arch"]])
        shape = {"arch": data["arch"], "cpus": int(data["cpus"]), "memory_mib": int(data["memory_mib"])}
        if not acceleration.trial(lab, data["accel"], program=program, kernel=Path(data["kernel"]), **shape):
            return ()
        samples.append(time.monotonic() - began)
    return tuple(samples)


def _last(lab: Lab, _runs: int) -> list[Figure]:
    """Step times of the newest run, as they were logged."""
    folder = report.find(lab.paths, None)
    records, _ = documents.lines(source(folder, EVENTS_FILE), Record.from_json)
    ended = [record.event for record in records if isinstance(record.event, StepFinished)]
    return [Figure(name=event.name, samples=(event.seconds,)) for event in ended]
