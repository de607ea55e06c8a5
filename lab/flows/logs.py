"""The ends of the logs, for `lab logs`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.model.lab import Lab
from lab.model.paths import SERIAL_LOG
from lab.system import private, store

COMMANDS: Final = 2  # logs of the newest commands


def tails(lab: Lab, machine: str, lines: int) -> dict[str, str]:
    """Path -> its last lines: serial console first, then the newest commands' records."""
    private.need_folder(lab.paths.logs)
    paths = [lab.paths.machine(machine) / SERIAL_LOG]
    if lab.paths.logs.is_dir():
        paths += sorted(lab.paths.logs.glob("*"), key=lambda p: p.stat().st_mtime)[-COMMANDS:]
    return {str(path): tail(path, lines) for path in paths if path.is_file()}


def tail(path: Path, lines: int) -> str:
    """The last `lines` lines, whatever the file's size."""
    return "\n".join(store.tail(path).decode("utf-8", "replace").splitlines()[-lines:])
