"""Another provider's machine beside QEMU's, in one run: whole commands in turn, each from an absent machine."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import Final

from lab.machines import lifecycle
from lab.machines.providers import PROVIDERS
from lab.model.errors import LabError, UsageError
from lab.model.lab import Lab
from lab.system import proc
from lab.system.wait import Deadline
from tests.bench import targets
from tests.bench.commands import LIMIT_S
from tests.bench.figure import Figure

NAME: Final = "bench"
OWN: Final = "qemu"
PLAYBOOK: Final = "apply_playbook"
TIMES: Final = 3
SHARED: Final = ("cpus", "memory_mib")
THEIRS: Final = ("source", "digest", "driver", "accel")
OPTIONS: Final = {"memory_mib": "memory"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """One `lab up`: all of it, the steps in which another tool worked and in which Ansible did (0.0: none), seconds.

    What the playbook installs takes its time through whatever provisions it, so that it is no part of what we cost.
    """

    total_s: float
    tool_s: float
    playbook_s: float = 0.0

    @property
    def ours_s(self) -> float:
        return self.total_s - self.tool_s - self.playbook_s


def measure(lab: Lab, against: str, runs: int) -> list[Figure]:
    """`lab up` with QEMU and with `against`, in turn. Raises UsageError for one that makes no machine of its own."""
    if against not in PROVIDERS or against == OWN or not PROVIDERS[against].FEATURES.isolated:
        known = ", ".join(name for name, one in PROVIDERS.items() if one.FEATURES.isolated and name != OWN)
        raise UsageError(f"--against {against}: there are {known}", fix="--against vagrant")
    ours, theirs = [], []
    for provider in (OWN, against):  # what is made once and kept (image, box) is no part of it
        _up(lab, provider)
    for _ in range(min(runs, TIMES)):
        ours.append(_up(lab, OWN))
        theirs.append(_up(lab, against))
    lifecycle.down(lab, NAME)
    return figures(against, ours, theirs)


def figures(against: str, ours: list[Up], theirs: list[Up]) -> list[Figure]:
    """The table: whole commands, the other tool's own part, and both ratios."""
    own = tuple(up.total_s for up in ours)
    whole = Figure(name=f"lab up, {against}", samples=tuple(up.total_s for up in theirs))
    found = [Figure(name=f"lab up, {OWN}", samples=own, target=targets.UP_S), whole]
    if not all(up.tool_s for up in theirs):
        return found
    bare = Figure(name=f"of it {against} itself", samples=tuple(up.tool_s for up in theirs))
    faster = Figure(
        name=f"lab up with {OWN} ÷ {against} up",
        samples=(_median(own) / bare.median,),
        unit="×",
        target=targets.OTHER_PROVIDER_RATIO,
    )
    ours_too = tuple(100 * up.ours_s / up.tool_s for up in theirs)
    playbook = Figure(name="of it the playbook", samples=tuple(up.playbook_s for up in theirs))
    return [
        *found,
        bare,
        *([playbook] if playbook.median else []),
        faster,
        Figure(
            name=f"lab's part over {against} up",
            samples=ours_too,
            unit="%",
            target=targets.OTHER_PROVIDER_OVERHEAD_PERCENT,
        ),
    ]


def tool_seconds(lines: str, name: str) -> float:
    """How long the step called `name` took, from `lab … --json`'s records; 0.0 when there was none."""
    found = 0.0
    for line in lines.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("event") == "StepFinished" and record["data"]["name"] == name:
            found += float(record["data"]["seconds"])
    return found


def _up(lab: Lab, provider: str) -> Up:
    """One whole `lab up` as a process of its own, from an absent machine."""
    lifecycle.down(lab, NAME)
    began = time.monotonic()
    result = proc.check(
        _argv(lab, provider),
        deadline=Deadline.after(LIMIT_S, lab.cancel),
        error=LabError,
        fix=f"lab up {NAME}",
    )
    total_s = time.monotonic() - began
    said = result.text()
    return Up(total_s=total_s, tool_s=tool_seconds(said, provider), playbook_s=tool_seconds(said, PLAYBOOK))


def _argv(lab: Lab, provider: str) -> list[str]:
    argv = [sys.executable, "-m", "lab", "up", NAME, "--provider", provider, "--json", "--home", str(lab.paths.home)]
    for key in (*SHARED, *(THEIRS if provider != OWN else ())):
        if value := getattr(lab.config.machine, key):
            argv += [f"--{OPTIONS.get(key, key)}", str(value)]
    return argv


def _median(samples: tuple[float, ...]) -> float:
    return Figure(name="", samples=samples).median
