"""What a snapshot must fit, as words: the keys of when it was kept and of now are compared before anything is ended."""

from __future__ import annotations

import platform
from pathlib import Path

from lab.model.errors import PreconditionError


def own_cpu() -> str:
    """A guest that was given this very CPU does not go on under another one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def differing(kept: dict[str, str], here: dict[str, str]) -> list[str]:
    """Each part of a key that is another one by now, in words."""
    return [
        f"{what} was {kept.get(what, 'not noted')}, is {now}" for what, now in here.items() if kept.get(what) != now
    ]


def misfit(name: str, changed: list[str]) -> PreconditionError:
    return PreconditionError(f"snapshot {name} does not fit: {'; '.join(changed)}", fix="lab snapshot makes a new one")
