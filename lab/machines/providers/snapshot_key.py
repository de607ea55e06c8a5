"""What must be unchanged for a restore: the key of the snapshot and the current one are compared before it begins."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from pathlib import Path

from lab.model.errors import PreconditionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Identifies a disk without reading it."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDisk:
    """An attached read-only disk, with its port."""

    serial: str
    image: str
    bus: str
    seen: Witness | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a provider needs for a restore; a part of the snapshot's record."""

    key: dict[str, str] = field(default_factory=dict)
    disks: tuple[KeptDisk, ...] = ()


def own_cpu() -> str:
    """The host's CPU model: a guest that uses it cannot be restored on another one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def differing(kept: dict[str, str], here: dict[str, str]) -> list[str]:
    """Each part of a key that has changed, as text."""
    return [
        f"{what} was {kept.get(what, 'not recorded')}, is {now}" for what, now in here.items() if kept.get(what) != now
    ]


def misfit(name: str, changed: list[str]) -> PreconditionError:
    return PreconditionError(f"snapshot {name} does not match: {'; '.join(changed)}", fix=f"lab snapshot --as {name}")
