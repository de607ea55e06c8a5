"""The errors of `lab`, with their exit codes. The message says what and where; `fix` is one command or one edit.

Several errors at once are raised as an ExceptionGroup of these. Any other exception is a bug in `lab`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar


class LabError(Exception):
    """A failure that a person can act on.

    message: what failed and where, one sentence. fix: one command or one edit. detail: evidence (the end of a log),
    printed below. log: path of the full log, if any. Raise it `from` its cause.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, fix: str, detail: str | None = None, log: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.detail = detail
        self.log = log
        self.told = False  # reported by the step that it ended


class UsageError(LabError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class ConfigError(LabError):
    """lab.yaml, a form, a scenario or an environment value is wrong."""

    exit_code = 3


class PreconditionError(LabError):
    """This host or machine lacks something that `lab doctor` checks."""

    exit_code = 4


class ProvisioningError(LabError):
    """Creating, starting, reaching or preparing a machine failed."""

    exit_code = 5


class DemoError(LabError):
    """A build, a proof or a cell failed, or a gate was missed."""

    exit_code = 6


class FetchError(LabError):
    """The results on this host are incomplete; running the command again resumes."""

    exit_code = 7


class Unreadable(FetchError):
    """A file is invalid: `file`, `line` (0: the whole file) and `key` (`cells[3].form`) say where."""

    def __init__(self, file: str, why: str, *, fix: str, line: int = 0, column: int = 0, key: str = "") -> None:
        self.file = file
        self.line = line
        self.key = key
        self.why = f"{key}: {why}" if key else why
        self.where = ":".join([file, *(str(at) for at in (line, column) if at)])
        super().__init__(f"{self.where} cannot be read: {self.why}", fix=fix)


class Newer(Unreadable):
    """A file of a lab that is newer than this one: its values may mean something else."""


class Locked(LabError):
    """Another command holds the lock; the message names it."""

    exit_code = 8


class SecurityStop(LabError):
    """A host key or digest differs from the pinned one. Nothing was sent or used."""

    exit_code = 9


class TransientError(LabError):
    """The command may succeed when run again."""

    exit_code = 75


class Cancelled(LabError):
    """Stopped on request at a safe point; running the command again continues from there."""

    exit_code = 130

    def __init__(self, message: str = "stopped on request", *, fix: str = "run the command again to continue") -> None:
        super().__init__(message, fix=fix)


def raise_all(failed: Iterable[BaseException], message: str) -> None:
    """Raise a single error as it is, several as a group with `message`; equal ones count once."""
    unlike = list({(type(error), str(error)): error for error in failed}.values())
    if len(unlike) == 1:
        raise unlike[0]
    if unlike:
        raise BaseExceptionGroup(message, unlike)
