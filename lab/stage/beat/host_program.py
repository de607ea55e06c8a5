"""A program of this host as a show runs it: beside the show file, in the speaker's own environment.

What lab runs for itself is shielded from both; this is what the speaker would type.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lab.model.errors import PreconditionError
from lab.system import proc, starting
from lab.system.wait import Deadline

INTERPRETERS: Final = re.compile(r"(?:ba|da|z|k|fi)?sh|python[\d.]*|node|ruby|perl|php|lua|pwsh|powershell|tclsh")
RELATIVE: Final = "correct argv: a path in it is relative to the folder of the show file"


def script(argv: Sequence[str]) -> str:
    """What of `argv` is a file beside the show file: the program where it is a path, or an interpreter's script. Its
    other words are not looked at: they may be what it writes."""
    program = argv[0] if argv else ""
    if Path(program).name == program:
        first = next((word for word in argv[1:] if not word.startswith("-")), "")
        program = first if INTERPRETERS.fullmatch(program) else ""
    return "" if not program or Path(program).is_absolute() else os.path.normpath(program)


def found(name: str, folder: Path) -> str:
    """Its path: a name alone is looked for on PATH, never in the folder. Raises PreconditionError."""
    if Path(name).name == name:
        return proc.require_tool(name, fix=f"install {name}, or give its path in argv: ./{name} beside the show file")
    path = folder / name  # Windows would begin at our own folder
    program: str | None = shutil.which(str(path))
    if program is not None:
        return program
    if path.exists():
        raise starting.failure(name, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    raise PreconditionError(f"there is no program {name}", fix=RELATIVE)


def run(argv: Sequence[str], folder: Path, *, deadline: Deadline, on_line: Callable[[str], None]) -> proc.Result:
    """Run it to its end. Raises as `found` and `proc.run`."""
    program = found(argv[0], folder)
    return proc.run([program, *argv[1:]], deadline=deadline, env=os.environ, cwd=folder, on_line=on_line)
