"""The first argument of every step of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lab.guest.linux import ending
from lab.guest.linux.accounts import Accounts
from lab.guest.linux.atomic_files import sha256_file
from lab.guest.linux.child import ChildProcesses
from lab.guest.linux.waiting import Cancel
from lab.guest.run.journal import Journal
from lab.guest.wire import Cell, FormSpec, Plan

PASSED_ON = (
    "PATH",
    "LANG",
    "TZ",
    ending.RUNTIME_ENV,
)  # a child gets nothing else of the caller's environment: no proxy, no OTEL_*


class LifeFailed(Exception):
    """A form failed to start or has no proof; the run continues with the others. The text says why."""


@dataclass
class RunContext:
    """One run: its plan, its folders, and the objects that its steps share."""

    plan: Plan
    out: Path
    work: Path  # scratch below `out`, never sealed
    artifacts: Path
    journal: Journal
    accounts: Accounts
    children: ChildProcesses
    cancel: Cancel
    systemd: bool = False
    digests: dict[tuple[int, ...], str] = field(default_factory=dict)  # of files, by their stat(2) values
    cells: dict[tuple[str, int], Cell] = field(default_factory=dict)  # complete ones, by id and attempt
    finished: set[str] = field(default_factory=set)  # ids of cells that need no more work

    @cached_property
    def digest(self) -> str:
        """The plan's digest, written with every state: to hash a plan takes an emulated CPU longer than to measure."""
        return self.plan.digest()

    def form(self, name: str) -> FormSpec:
        return self.plan.forms[name]

    def artifact(self, relative: str) -> str:
        return str(self.artifacts / relative)

    def sha256(self, path: str) -> str:
        """The digest of a file, cached while it is unchanged: each life runs the same few files. Raises OSError."""
        stat = os.stat(path)
        key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if key not in self.digests:
            self.digests[key] = sha256_file(path)
        return self.digests[key]

    def env(self, work: Path, extra: dict[str, str]) -> dict[str, str]:
        """The complete environment of a child."""
        base = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        base.setdefault("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        return {**base, "HOME": str(work), "TMPDIR": str(work), **extra, ending.OUT_ENV: str(self.out)}


def fill(text: str, values: dict[str, str]) -> str:
    """Replace {NAME} and {port:NAME}; anything else in braces stays as it is."""
    for key, value in values.items():
        text = text.replace("{%s}" % key, value)
    return text
