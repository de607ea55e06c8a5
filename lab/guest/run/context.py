"""What every step of a run gets as its first argument."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from lab.guest.linux import ending
from lab.guest.linux.accounts import Accounts
from lab.guest.linux.atomic_files import sha256_file
from lab.guest.linux.child import ChildProcesses
from lab.guest.linux.waiting import Cancel
from lab.guest.run.journal import Journal
from lab.guest.wire import FormSpec, Plan

PASSED_ON = (
    "PATH",
    "LANG",
    "TZ",
    ending.RUNTIME_ENV,
)  # nothing else of the caller's environment reaches a child: no proxy, no OTEL_*


class LifeFailed(Exception):
    """A form could not be started or proven; the run goes on with the others. The text says why."""


@dataclass
class RunContext:
    """One run: its plan, its folders, and the effects that steps share."""

    plan: Plan
    out: Path
    work: Path  # scratch below `out`, never sealed
    artifacts: Path
    journal: Journal
    accounts: Accounts
    nursery: ChildProcesses
    cancel: Cancel
    systemd: bool = False
    digests: dict[tuple[int, ...], str] = field(default_factory=dict)  # of files, as stat(2) knows them

    def form(self, name: str) -> FormSpec:
        return self.plan.forms[name]

    def artifact(self, relative: str) -> str:
        return str(self.artifacts / relative)

    def sha256(self, path: str) -> str:
        """A file's digest, read once as long as it is the same file: each life runs the same few. Raises OSError."""
        seen = os.stat(path)
        key = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
        if key not in self.digests:
            self.digests[key] = sha256_file(path)
        return self.digests[key]

    def env(self, work: Path, extra: dict[str, str]) -> dict[str, str]:
        """A child's whole environment."""
        base = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        base.setdefault("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        return {**base, "HOME": str(work), "TMPDIR": str(work), **extra, ending.OUT_ENV: str(self.out)}


def fill(text: str, values: dict[str, str]) -> str:
    """Replace {NAME} and {port:NAME}; anything else in braces stays as it is."""
    for key, value in values.items():
        text = text.replace("{%s}" % key, value)
    return text
