"""From an absent machine to a working command, beside what no machine of that kernel can be faster than."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lab.machines import lifecycle
from lab.machines.providers.qemu.start import QemuHandle
from lab.machines.vm import acceleration, qemu_argv
from lab.model.lab import Lab
from lab.system import proc
from tests.bench import targets
from tests.bench.commands import lab_argv, once, timed
from tests.bench.figure import Figure

NAME = "bench"
COLD_RUNS = 3


def measure(lab: Lab, runs: int) -> list[Figure]:
    """Cold boots of the golden image to a working command, then second `up`s of the last one."""
    cold = []
    for _ in range(min(runs, COLD_RUNS)):
        lifecycle.down(lab, NAME)
        cold.append(once(lab_argv(lab, "up", NAME)))
    floor = _floor(lab, len(cold))
    again = timed(lab_argv(lab, "up", NAME), runs)
    command = timed([*lab_argv(lab, "exec", "--name", NAME), "--", "true"], runs)
    lifecycle.down(lab, NAME)
    return [
        Figure(name="lab up, image baked, machine absent", samples=tuple(cold), target=targets.UP_S),
        *floor_figures(tuple(cold), floor),
        Figure(name="lab up again", samples=again, target=targets.UP_AGAIN_S),
        Figure(name="lab exec -- true", samples=command, target=targets.EXEC_S),
    ]


def floor_figures(cold: tuple[float, ...], floor: tuple[float, ...]) -> list[Figure]:
    """The floor and how far above it `lab up` is; nothing where there is no floor."""
    if not floor:
        return []
    below = Figure(name="floor: that kernel to user space and off", samples=floor)
    ratio = Figure(name="", samples=cold).median / below.median
    return [below, Figure(name="lab up ÷ floor", samples=(ratio,), unit="×", target=targets.UP_FLOOR_RATIO)]


def _floor(lab: Lab, runs: int) -> tuple[float, ...]:
    """The same kernel, CPUs and memory, to one tiny program that powers off.

    Empty for machines of another provider, and where that program cannot run.
    """
    machine = lifecycle.machine(lab, NAME)
    handle = machine.handle if machine is not None else None
    if not isinstance(handle, QemuHandle):
        return ()
    samples = []
    for _ in range(runs):
        began = time.monotonic()
        program = proc.require_tool(qemu_argv.PROGRAMS[handle.arch])
        shape: dict[str, Any] = {"arch": handle.arch, "cpus": handle.cpus, "memory_mib": handle.memory_mib}
        if not acceleration.trial(lab, handle.accel, program=program, kernel=Path(handle.kernel), **shape):
            return ()
        samples.append(time.monotonic() - began)
    return tuple(samples)
