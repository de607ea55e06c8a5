"""Every way `lab` fails, with its exit code. The message says what and where; `fix` is one command or one edit.

Several failures of one moment travel as an ExceptionGroup of these. Anything else that escapes is a bug in `lab`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class LabError(Exception):
    """A failure that a person can act on.

    message: what happened and where, one sentence. fix: one command or one edit. detail: evidence (a log's tail),
    shown below. log: path of the full log, when there is one. Raise it `from` its cause.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, fix: str, detail: str | None = None, log: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.detail = detail
        self.log = log
        self.told = False  # by a step that it ended


class UsageError(LabError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class ConfigError(LabError):
    """lab.yaml, a form, a scenario or an environment value is wrong."""

    exit_code = 3


class PreconditionError(LabError):
    """Something this host or machine lacks; what `lab doctor` reports."""

    exit_code = 4


class ProvisioningError(LabError):
    """A machine could not be made, started, reached or prepared."""

    exit_code = 5


class DemoError(LabError):
    """A form could not be built or proven, a cell failed, or a gate was missed."""

    exit_code = 6


class FetchError(LabError):
    """Results are incomplete on this host; run again, the command resumes."""

    exit_code = 7


class Unreadable(FetchError):
    """A file is not what it must be: `file`, `line` (0: the whole) and `key` (`cells[3].form`) say where."""

    def __init__(self, file: str, why: str, *, fix: str, line: int = 0, column: int = 0, key: str = "") -> None:
        self.file = file
        self.line = line
        self.key = key
        self.why = f"{key}: {why}" if key else why
        self.where = ":".join([file, *(str(at) for at in (line, column) if at)])
        super().__init__(f"{self.where} cannot be read: {self.why}", fix=fix)


class Locked(LabError):
    """Another command works on the same thing; the message names it."""

    exit_code = 8


class SecurityStop(LabError):
    """A host key or a digest is not the pinned one. Nothing was sent, nothing was used."""

    exit_code = 9


class TransientError(LabError):
    """Run again, the command may work."""

    exit_code = 75


class Cancelled(LabError):
    """Stopped on request at a safe point; run again, the command goes on from here."""

    exit_code = 130

    def __init__(self, message: str = "stopped on request", *, fix: str = "run the command again to go on") -> None:
        super().__init__(message, fix=fix)


def raise_all(failed: Iterable[BaseException], message: str) -> None:
    """One failure alone as it is, several as a group under `message`, none not at all; equal ones once."""
    unlike = list({(type(error), str(error)): error for error in failed}.values())
    if len(unlike) == 1:
        raise unlike[0]
    if unlike:
        raise BaseExceptionGroup(message, unlike)
