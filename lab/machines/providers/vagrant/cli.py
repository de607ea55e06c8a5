"""Runs `vagrant` for one machine and parses its output (`--machine-readable`: one comma-separated row a line).

Vagrant escapes commas and newlines inside a value; other output, such as a Ruby traceback, is not a row.
Format: Vagrant's documentation, "Machine Readable Output".
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.machines.providers.known_failures import KnownFailure, known_in
from lab.model.errors import LabError, Locked, PreconditionError, ProvisioningError, SecurityStop
from lab.model.events import Output
from lab.model.lab import Lab
from lab.system import proc, resources
from lab.system.environment import shielded
from lab.system.wait import Deadline

INSTALL: Final = "lab doctor --install --provider vagrant"
LOG: Final = "vagrant.log"
DOT: Final = "dot"  # Vagrant's folder for this machine, created before anything else
JSON_FILE: Final = "machine.json"
JSON_VARIABLE: Final = "LAB_VAGRANT_JSON"
# the user's settings that would change our Vagrantfile; VAGRANT_HOME is kept
ENV_TO_DROP: Final = re.compile(
    r"VAGRANT_(CWD|DOTFILE_PATH|VAGRANTFILE|DEFAULT_PROVIDER|PREFERRED_PROVIDERS|LOG|NO_PARALLEL|I_KNOW.*)"
)
_ROW: Final = re.compile(r"(\d{9,12}),([^,]*),([^,]+),?(.*)")
_VERSION: Final = re.compile(r"^Vagrant (\d+)\.(\d+)\.(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRow:
    """One row: its machine ("" for none), its type, and its unescaped values."""

    target: str
    kind: str
    values: tuple[str, ...]


KNOWN: Final = (
    KnownFailure(
        pattern=r"BoxChecksumMismatch|The checksum of the downloaded box did not match",
        error=SecurityStop,
        message="the box does not match the pinned digest; it was not used",
        fix="correct machine.digest, or check who changed the box",
    ),
    KnownFailure(
        pattern=r"MachineActionLockedError|EnvironmentLockedError|another process is already executing an action",
        error=Locked,
        message="another vagrant process holds the lock of this machine",
        fix="wait until it has finished, then run the command again",
    ),
    KnownFailure(
        pattern=r"ProviderNot(Found|Usable)|The provider '[^']*' could not be found|any usable provider",
        error=PreconditionError,
        message="the Vagrant plugin of this driver is not installed",
        fix=INSTALL,
    ),
    KnownFailure(
        pattern=r"FogLibvirtConnectionError|Failed to connect socket|Error while connecting to [Ll]ibvirt",
        error=PreconditionError,
        message="libvirt does not answer",
        fix=INSTALL,
    ),
    KnownFailure(
        pattern=r"No space left on device",
        error=PreconditionError,
        message="no space left on a disk of this host",
        fix="free some space, then run the command again",
    ),
    KnownFailure(
        pattern=r"VMBootTimeout|Timed out while waiting for the machine to boot",
        error=ProvisioningError,
        message="Vagrant timed out waiting for the machine to boot",
        fix="lab logs",
    ),
)


def rows(text: str) -> list[OutputRow]:
    """Every row in Vagrant's output; other lines are left out."""
    found = (_ROW.fullmatch(line.strip()) for line in text.splitlines())
    return [
        OutputRow(target=match[2], kind=match[3], values=tuple(_plain(value) for value in match[4].split(",")))
        for match in found
        if match is not None
    ]


def said(found: Iterable[OutputRow]) -> list[str]:
    """The messages that Vagrant would show to a person."""
    return [row.values[-1] for row in found if row.kind == "ui" and len(row.values) > 1]


def failure(words: Sequence[str], code: int, text: str, log: Path) -> LabError:
    """The error for a `vagrant` that failed: a known one with its fix, else its own message and log."""
    found = rows(text)
    ends = [value for row in found if row.kind == "error-exit" for value in row.values]
    errors = [row.values[-1] for row in found if row.kind == "ui" and row.values[0] == "error"]
    output = "\n".join([*ends, *errors]) or _other_lines(text)
    if (known := known_in(KNOWN, output)) is not None:
        return known.error(f"vagrant {words[0]}: {known.message}", fix=known.fix, detail=output, log=str(log))
    detail = output or "no output"
    if ends:
        message = f"vagrant {words[0]} failed ({ends[0].rpartition('::')[2]})"
        return ProvisioningError(
            message, fix="fix the error above, then run the command again", detail=detail, log=str(log)
        )
    message = f"vagrant {words[0]} failed with exit code {code} and unknown output"
    return ProvisioningError(message, fix=f"read {log}, then run the command again", detail=detail, log=str(log))


def run(lab: Lab, work: Path, words: Sequence[str], *, limit_s: float) -> list[OutputRow]:
    """Run `vagrant WORDS` for the machine whose files are in `work`. Raises the error of `failure`, or Cancelled."""
    argv = [proc.require_tool("vagrant", fix=INSTALL), *words, "--machine-readable"]
    log = work / LOG
    deadline = Deadline.after(limit_s, lab.cancel)

    def tell(line: str) -> None:
        for text in said(rows(line)):
            lab.bus.emit(Output(text=text))

    result = proc.run(argv, deadline=deadline, env=environment(work), cwd=work, on_line=tell, log=log)
    text = result.text() + result.stderr.decode("utf-8", "replace")
    if not result.ok:
        raise failure(words, result.code, text, log)
    return rows(text)


def environment(work: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Vagrant's environment: our Vagrantfile, this machine's folder and values, the user's Vagrant home."""
    kept = {name: text for name, text in shielded(base).items() if not ENV_TO_DROP.fullmatch(name)}
    return kept | {
        JSON_VARIABLE: str(work / JSON_FILE),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_CWD": str(resources.root() / "vagrant"),
        "VAGRANT_DOTFILE_PATH": str(work / DOT),
        "VAGRANT_NO_COLOR": "1",
    }


def end_left(work: Path) -> None:
    """End the processes that a killed `lab` left: every vagrant started for this machine, and its children."""
    import psutil

    mark = str(work / JSON_FILE)
    left = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(JSON_VARIABLE) == mark:
                left.append(process)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def version(lab: Lab) -> tuple[int, int, int] | None:
    """Of the installed Vagrant; None for unknown output. Raises PreconditionError (not installed)."""
    argv = [proc.require_tool("vagrant", fix=INSTALL), "--version"]
    return parse_version(proc.run(argv, deadline=Deadline.after(60, lab.cancel)).text())


def parse_version(text: str) -> tuple[int, int, int] | None:
    found = _VERSION.search(text)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def plugins(text: str) -> dict[str, str]:
    """Plugin -> version, from `vagrant plugin list --machine-readable`."""
    listed = [row for row in rows(text) if row.kind == "plugin-version" and row.target]
    return {row.target: row.values[0].partition(",")[0] for row in listed}


def _plain(value: str) -> str:
    return value.replace("%!(VAGRANT_COMMA)", ",").replace("\\n", "\n").replace("\\r", "\r")


def _other_lines(text: str) -> str:
    """The first lines that are not rows: of a traceback, those say most."""
    lines = [line for line in text.splitlines() if line.strip() and _ROW.fullmatch(line.strip()) is None]
    return "\n".join(lines[:6])
