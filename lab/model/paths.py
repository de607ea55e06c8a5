"""Every name that `lab` writes to disk, in one place; docs/reference/files.md shows the same tree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.model.errors import UsageError

SCHEMA: Final = 1

MACHINE_FILE: Final = "machine.json"
JOURNAL_FILE: Final = "journal.jsonl"
KNOWN_HOSTS_FILE: Final = "known_hosts"
IDENTITY_FILE: Final = "id_ed25519"
HOST_KEY_FILE: Final = "host_ed25519"  # created before the machine, so that it can be pinned
SSH_CONFIG_FILE: Final = "ssh.config"
SERIAL_LOG: Final = "serial.log"
HEARTBEAT_LOG: Final = "heartbeat.jsonl"
OVERLAY_FILE: Final = "disk.qcow2"
# QMP's Unix socket must stay below 104 bytes (macOS); it lives in a short run directory, not under LAB_HOME
QMP_SOCKET: Final = "qmp"
STANDBY_FILE: Final = "standby.json"  # the standby forms, and how to give them orders
SNAPSHOTS_DIR: Final = "snapshots"  # one NAME.json each; the states are in the overlay

PLAN_FILE: Final = "plan.json"
MANIFEST_FILE: Final = "manifest.json"
EVENTS_FILE: Final = "events.jsonl"
HOST_EVENTS_FILE: Final = "host-events.jsonl"
SUMMARY_FILE: Final = "summary.json"
REPORT_HTML: Final = "report.html"
REPORT_MD: Final = "report.md"
JUNIT_FILE: Final = "junit.xml"
VERDICTS_CSV: Final = "verdicts.csv"
GUEST_DIR: Final = "guest"
CELLS_DIR: Final = "cells"
CELL_FILE: Final = "cell.json"
CANARY_FILE: Final = "canary.json"
LIVES_DIR: Final = "lives"
LIFE_FILE: Final = "life.json"
REQUESTS_FILE: Final = "requests.csv.gz"
SPANS_FILE: Final = "spans.jsonl.gz"
INCOMPLETE_PREFIX: Final = "incomplete-"

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
# not allowed as folder names on Windows
DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{i}" for i in range(10)), *(f"lpt{i}" for i in range(10))}
)


def is_name(name: str) -> bool:
    """Whether this is a valid machine name: its folder has it, on every system."""
    return NAME.fullmatch(name) is not None and name not in DEVICES


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """LAB_HOME and what is in it. Nothing is created here."""

    home: Path

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder directly in the home: all of them are private."""
        found = (self.cache, self.locks, self.logs, self.machines, self.noise, self.runs, self.saturation)
        return (*found, self.stages)

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    @property
    def images(self) -> Path:
        return self.cache / "images"

    @property
    def kernels(self) -> Path:
        """Custom kernels with their modules, by digest."""
        return self.cache / "kernels"

    @property
    def boxes(self) -> Path:
        """Vagrant boxes: of our images by their id, others by their digest."""
        return self.cache / "boxes"

    @property
    def artifacts(self) -> Path:
        return self.cache / "artifacts"

    @property
    def downloads(self) -> Path:
        return self.cache / "downloads"

    @property
    def build(self) -> Path:
        """Module and build caches of the Go builds (GOMODCACHE is shared, one GOCACHE per toolchain)."""
        return self.cache / "build"

    @property
    def machines(self) -> Path:
        return self.home / "machines"

    def machine(self, name: str) -> Path:
        """Always below `machines`, since `down` removes it. Raises UsageError for an invalid name."""
        if not is_name(name):
            raise UsageError(f"invalid machine name {name[:80]!r}", fix="use up to 40 of a-z, 0-9 and -")
        return self.machines / name

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    def run(self, run_id: str) -> Path:
        return self.runs / run_id

    def incomplete_run(self, run_id: str) -> Path:
        return self.runs / f"{INCOMPLETE_PREFIX}{run_id}"

    @property
    def noise(self) -> Path:
        """The twin's readings of each session, by profile hash."""
        return self.home / "noise"

    @property
    def saturation(self) -> Path:
        """How much load each form keeps up with, by the key of the search that found it."""
        return self.home / "saturation"

    @property
    def stages(self) -> Path:
        return self.home / "stage"

    def stage(self, machine: str) -> Path:
        """What shows leave on a machine: rehearsals and takes. Removing the machine keeps them."""
        return self.stages / machine

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def locks(self) -> Path:
        return self.home / "locks"
