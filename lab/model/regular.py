"""Open files of other users and programs: regular files only, else an error at once.

Reading a named pipe, a socket or a device may block or never end.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from lab.model.errors import ConfigError

FLAGS: Final = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegular(OSError):
    """The path is not a regular file; `strerror` says what it is."""


def kind(mode: int) -> str:
    """The kind of an irregular file; "" for a regular one."""
    if stat.S_ISREG(mode):
        return ""
    return next((name for test, name in KINDS if test(mode)), "of an unknown kind")


def opened(path: Path) -> BinaryIO:
    """Open a file to read, without blocking. Raises NotRegular, if possible before it opens the file, and OSError."""
    _refuse(path.stat().st_mode, path)
    fd = os.open(path, FLAGS)
    try:
        _refuse(os.fstat(fd).st_mode, path)
    except NotRegular:
        os.close(fd)
        raise
    return os.fdopen(fd, "rb")


def _refuse(mode: int, path: Path) -> None:
    if what := kind(mode):
        raise NotRegular(0, f"it is {what}, not a regular file", str(path))


def present(path: Path) -> bool:
    """Whether the file exists; False for a folder. Raises ConfigError for other irregular files."""
    try:
        what = kind(path.stat().st_mode)
    except OSError:
        return False
    if what and what != "a folder":
        raise irregular(path, what)
    return not what


def irregular(path: Path, what: str) -> ConfigError:
    """The error for an irregular file in a source."""
    return ConfigError(f"{path} is {what}, not a regular file", fix=f"remove {path}, or replace it by a file")


def content(path: Path) -> bytes:
    """The content of a file of a source. Raises ConfigError."""
    try:
        with opened(path) as file:
            return file.read()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", fix=f"make {path} readable") from error
