"""Running `vagrant` for one machine, and reading what it prints (`--machine-readable`: one comma-separated row a line).

Vagrant escapes commas and newlines inside a value; anything else that comes, such as a Ruby traceback, is no row.
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
DOT: Final = "dot"  # Vagrant's own folder for this machine; it makes it before anything else
JSON_FILE: Final = "machine.json"
JSON_VARIABLE: Final = "LAB_VAGRANT_JSON"
# what of the user's settings would make our Vagrantfile another one's; VAGRANT_HOME is the user's to choose
ENV_TO_DROP: Final = re.compile(
    r"VAGRANT_(CWD|DOTFILE_PATH|VAGRANTFILE|DEFAULT_PROVIDER|PREFERRED_PROVIDERS|LOG|NO_PARALLEL|I_KNOW.*)"
)
_ROW: Final = re.compile(r"(\d{9,12}),([^,]*),([^,]+),?(.*)")
_VERSION: Final = re.compile(r"^Vagrant (\d+)\.(\d+)\.(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRow:
    """One row: about which machine ("" for none), of which type, and its values, unescaped."""

    target: str
    kind: str
    values: tuple[str, ...]


KNOWN: Final = (
    KnownFailure(
        pattern=r"BoxChecksumMismatch|The checksum of the downloaded box did not match",
        error=SecurityStop,
        message="the box has another digest than the pinned one; nothing of it was used",
        fix="correct machine.digest, or find out who changed the box",
    ),
    KnownFailure(
        pattern=r"MachineActionLockedError|EnvironmentLockedError|another process is already executing an action",
        error=Locked,
        message="another vagrant works on this machine",
        fix="wait for it, then run the command again",
    ),
    KnownFailure(
        pattern=r"ProviderNot(Found|Usable)|The provider '[^']*' could not be found|any usable provider",
        error=PreconditionError,
        message="Vagrant lacks the plugin of this driver",
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
        message="a disk of this host is full",
        fix="free some space there, then run the command again",
    ),
    KnownFailure(
        pattern=r"VMBootTimeout|Timed out while waiting for the machine to boot",
        error=ProvisioningError,
        message="the machine did not answer Vagrant in time",
        fix="lab logs",
    ),
)


def rows(text: str) -> list[OutputRow]:
    """Every row in Vagrant's output; lines that are none are left out."""
    found = (_ROW.fullmatch(line.strip()) for line in text.splitlines())
    return [
        OutputRow(target=match[2], kind=match[3], values=tuple(_plain(value) for value in match[4].split(",")))
        for match in found
        if match is not None
    ]


def said(found: Iterable[OutputRow]) -> list[str]:
    """What Vagrant would have shown to a person."""
    return [row.values[-1] for row in found if row.kind == "ui" and len(row.values) > 1]


def failure(words: Sequence[str], code: int, text: str, log: Path) -> LabError:
    """The error for a `vagrant` that did not exit 0: a known one with its fix, else its own words and its log."""
    found = rows(text)
    ends = [value for row in found if row.kind == "error-exit" for value in row.values]
    errors = [row.values[-1] for row in found if row.kind == "ui" and row.values[0] == "error"]
    told = "\n".join([*ends, *errors]) or _strangers(text)
    if (known := known_in(KNOWN, told)) is not None:
        return known.error(f"vagrant {words[0]}: {known.message}", fix=known.fix, detail=told, log=str(log))
    detail = told or "it printed nothing"
    if ends:
        message = f"vagrant {words[0]} failed ({ends[0].rpartition('::')[2]})"
        return ProvisioningError(
            message, fix="fix the error above, then run the command again", detail=detail, log=str(log)
        )
    message = f"vagrant {words[0]} ended with exit code {code} and words that lab does not know"
    return ProvisioningError(message, fix=f"read {log}, then run the command again", detail=detail, log=str(log))


def run(lab: Lab, work: Path, words: Sequence[str], *, limit_s: float) -> list[OutputRow]:
    """`vagrant WORDS` for the machine whose files are in `work`. Raises what `failure` gives, or Cancelled."""
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
    """Vagrant's environment: our Vagrantfile, this machine's folder and values, the user's own Vagrant home."""
    kept = {name: text for name, text in shielded(base).items() if not ENV_TO_DROP.fullmatch(name)}
    return kept | {
        JSON_VARIABLE: str(work / JSON_FILE),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_CWD": str(resources.root() / "vagrant"),
        "VAGRANT_DOTFILE_PATH": str(work / DOT),
        "VAGRANT_NO_COLOR": "1",
    }


def end_left(work: Path) -> None:
    """End what a killed `lab` left running: every vagrant that was started for this machine, and its children."""
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
    """Of the installed Vagrant; None for one that says something else. Raises PreconditionError (not installed)."""
    argv = [proc.require_tool("vagrant", fix=INSTALL), "--version"]
    return parse_version(proc.run(argv, deadline=Deadline.after(60, lab.cancel)).text())


def parse_version(text: str) -> tuple[int, int, int] | None:
    found = _VERSION.search(text)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def plugins(text: str) -> dict[str, str]:
    """Plugin -> version, from `vagrant plugin list --machine-readable`."""
    told = [row for row in rows(text) if row.kind == "plugin-version" and row.target]
    return {row.target: row.values[0].partition(",")[0] for row in told}


def _plain(value: str) -> str:
    return value.replace("%!(VAGRANT_COMMA)", ",").replace("\\n", "\n").replace("\\r", "\r")


def _strangers(text: str) -> str:
    """What is no row: a traceback's first lines tell most."""
    lines = [line for line in text.splitlines() if line.strip() and _ROW.fullmatch(line.strip()) is None]
    return "\n".join(lines[:6])
