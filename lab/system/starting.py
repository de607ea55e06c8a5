"""Why a program does not start, as an error with a fix: it is missing, no program, or this host has no room for it."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from lab.model.errors import PreconditionError
from lab.system import tool_paths

FIXES: Final = {
    errno.EACCES: "name a program that you may run (chmod +x FILE makes one of a script)",
    errno.ENOEXEC: "name a program for this system; a script begins with a line like #!/bin/sh",
    errno.E2BIG: "give it fewer or shorter arguments",
}
OTHER: Final = "end what else runs on this host, then run the command again"


class NotStarted(PreconditionError):
    """A program that is there and that the system did not start."""


def missing(program: str) -> PreconditionError:
    return PreconditionError(f"{program} is not installed", fix=tool_paths.fix(program))


def failure(program: str, error: OSError) -> PreconditionError:
    """What the system answered to the start of this program."""
    if isinstance(error, FileNotFoundError):
        if not (Path(program).is_absolute() and Path(program).is_file()):
            return missing(program)
        what = "the program in its first line is missing"
        return NotStarted(f"{program} does not start: {what}", fix=FIXES[errno.ENOEXEC])
    why = (error.strerror or str(error)).lower()
    return NotStarted(f"{program} does not start: {why}", fix=FIXES.get(error.errno or 0, OTHER))
