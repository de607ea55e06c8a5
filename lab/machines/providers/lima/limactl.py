"""Runs `limactl` for one machine and parses its output: JSON lines of its log, JSON lines of `list`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lab.machines.providers.known_failures import KnownFailure, known_in
from lab.model.errors import ConfigError, LabError, PreconditionError, ProvisioningError, SecurityStop, TransientError
from lab.model.events import Output
from lab.model.lab import Lab
from lab.system import proc
from lab.system.wait import Deadline

INSTALL: Final = "install Lima 2.0 or newer: brew install lima"
LOG: Final = "lima.log"
ASK_S: Final = 30.0
NO_SUCH: Final = re.compile(r"unmatched instances|No instance (?:matching|found)")
_ERRORS: Final = re.compile(r'errors="\[(.*)\]"')  # the errors of a broken instance are only in the log
_VERSION: Final = re.compile(r"^limactl version v?(\d+)\.(\d+)\.(\d+)", re.MULTILINE)


KNOWN: Final = (
    KnownFailure(
        pattern=r"expected digest .* got ",
        error=SecurityStop,
        message="the image does not match the pinned digest; it was not used",
        fix="correct machine.digest, or check who changed the image",
    ),
    KnownFailure(
        pattern=r"must not run as the root user",
        error=PreconditionError,
        message="Lima does not run as root",
        fix="run lab as a normal user",
    ),
    KnownFailure(
        pattern=r"UNIX_PATH_MAX",
        error=PreconditionError,
        message="the path of Lima's folder is too long for its sockets",
        fix="set LIMA_HOME to a shorter path, then run the command again",
    ),
    KnownFailure(
        pattern=r"unsupported (?:arch|VM type)",
        error=PreconditionError,
        message="Lima's driver does not support this machine on this host",
        fix="use --driver qemu, or this host's --arch",
    ),
    KnownFailure(
        pattern=r"qemu-system-\w+[^\n]*executable file not found|failed to find the QEMU binary",
        error=PreconditionError,
        message="Lima cannot find QEMU",
        fix="install QEMU (brew install qemu), or use --driver vz on a Mac",
    ),
    KnownFailure(
        pattern=r"No space left on device|no space left on device",
        error=PreconditionError,
        message="no space left on a disk of this host",
        fix="free some space, then run the command again",
    ),
    KnownFailure(
        pattern=r"failed to download[^\n]*no such file or directory",
        error=ConfigError,
        message="the image at --source does not exist",
        fix="correct machine.source",
    ),
    KnownFailure(
        pattern=r"failed to download|dial tcp|no such host",
        error=TransientError,
        message="cannot fetch the image",
        fix="check the network, or set --source and --digest, then run the command again",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One line of `limactl list --json`. `status`: Running, Stopped, Broken, …; `port` is 0 while it does not run."""

    name: str
    status: str
    driver: str
    arch: str
    port: int
    host: str
    errors: tuple[str, ...]


def run(lab: Lab, directory: Path, words: Sequence[str], *, limit_s: float) -> proc.Result:
    """Run `limactl WORDS`; its log is emitted and written to a file. Raises the error of `failure`."""
    argv = [proc.require_tool("limactl", fix=INSTALL), "--tty=false", "--log-format=json", *words]
    log = directory / LOG

    def tell(line: str) -> None:
        if (text := message(line)) is not None:
            lab.bus.emit(Output(text=text))

    result = proc.run(argv, deadline=Deadline.after(limit_s, lab.cancel), on_line=tell, log=log)
    if not result.ok:
        raise failure(words, result, log)
    return result


def instance(lab: Lab, directory: Path, name: str) -> Instance | None:
    """Lima's state of the instance; None when there is none. Raises ProvisioningError for unknown output."""
    argv = [proc.require_tool("limactl", fix=INSTALL), "--tty=false", "list", "--json", name]
    result = proc.run(argv, deadline=Deadline.after(ASK_S, lab.cancel))
    if not result.ok:
        if NO_SUCH.search(result.tail()):
            return None
        raise failure(["list"], result, _kept(directory, result))
    try:
        found = parse_list(result.text())
    except ValueError as error:
        log = _kept(directory, result)
        raise _unknown("list", log, result.text()[:400] or result.tail()) from error
    errors = tuple(_ERRORS.findall(result.stderr.decode("utf-8", "replace")))
    return next((replace(listed, errors=(*listed.errors, *errors)) for listed in found if listed.name == name), None)


def parse_list(text: str) -> list[Instance]:
    """The output of `limactl list --json`: one object a line. Raises ValueError for anything else."""
    found = []
    for line in text.splitlines():
        if not line.strip():
            continue
        doc = json.loads(line)
        if not isinstance(doc, dict) or not {"name", "status"} <= doc.keys():
            raise ValueError(f"not an instance: {line[:80]}")
        found.append(
            Instance(
                name=str(doc["name"]),
                status=str(doc["status"]),
                driver=str(doc.get("vmType", "")),
                arch=str(doc.get("arch", "")),
                port=int(doc.get("sshLocalPort") or 0),
                host=str(doc.get("sshAddress") or "127.0.0.1"),
                errors=tuple(str(error) for error in doc.get("errors") or ()),
            )
        )
    return found


def message(line: str) -> str | None:
    """The message in a line of its JSON log; None for any other line."""
    doc = _object(line)
    if doc is None or "msg" not in doc:
        return None
    error = f": {doc['error']}" if "error" in doc else ""
    return f"{doc['msg']}{error}"


def failure(words: Sequence[str], result: proc.Result, log: Path) -> LabError:
    """The error for a limactl that failed: a known one with its fix, else its last message and the log."""
    text = result.stderr.decode("utf-8", "replace") + result.text()
    docs = [doc for doc in map(_object, text.splitlines()) if doc is not None]
    fatal = [str(doc.get("msg")) for doc in docs if doc.get("level") in {"fatal", "error"}]
    output = "\n".join(fatal) or text[-2000:]
    if (known := known_in(KNOWN, output)) is not None:
        return known.error(f"limactl {words[0]}: {known.message}", fix=known.fix, detail=output, log=str(log))
    if fatal:
        last = fatal[-1].splitlines()[0]
        fix = "fix the error above, then run the command again"
        return ProvisioningError(f"limactl {words[0]} failed: {last}", fix=fix, detail=output, log=str(log))
    return _unknown(words[0], log, output or f"no output, exit code {result.code}")


def version(lab: Lab) -> tuple[int, int, int] | None:
    """Of the installed Lima; None for unknown output. Raises PreconditionError (missing, or root)."""
    argv = [proc.require_tool("limactl", fix=INSTALL), "--version"]
    result = proc.run(argv, deadline=Deadline.after(ASK_S, lab.cancel))
    output = result.text() + result.tail()
    if not result.ok and (known := known_in(KNOWN, output)) is not None:
        raise known.error(known.message, fix=known.fix, detail=output)
    return parse_version(result.text())


def parse_version(text: str) -> tuple[int, int, int] | None:
    found = _VERSION.search(text)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def _object(line: str) -> dict[str, Any] | None:
    try:
        doc = json.loads(line)
    except ValueError:
        return None
    return doc if isinstance(doc, dict) else None


def _kept(directory: Path, result: proc.Result) -> Path:
    """The log, with the whole output appended."""
    log = directory / LOG
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with log.open("ab") as file:
        file.write(result.stdout + result.stderr)
    return log


def _unknown(verb: str, log: Path, output: str) -> ProvisioningError:
    message = f"limactl {verb} printed unknown output"
    return ProvisioningError(message, fix=f"read {log}; lab knows Lima 2.0 to 2.2", detail=output, log=str(log))
