"""Names of exported files: two recordings never share one, and a file that is there is never replaced by another."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import Final

from lab.model.errors import PreconditionError
from lab.stage.replay.recordings import Recording
from lab.system import documents, store

LONGEST: Final = 120  # bytes of a recording's name: a file system takes 255 of a whole name, with day and number


def add(folder: Path, found: Recording, suffix: str, text: str) -> Path:
    """Write a recording into the folder, under the next number where its name is taken by other content."""
    day = "" if found.day.replace("-", "") in found.name else f"-{found.day}"  # a run has its own in its name
    stem = _within(re.sub(r"[^\w.+-]+", "-", found.name).strip("-.") or "recording") + day
    return numbered(folder, stem, suffix, text.encode())


def numbered(folder: Path, stem: str, suffix: str, data: bytes) -> Path:
    """Write a file, with its folder, under the next number where its name is taken by other content.

    Raises PreconditionError where that is not possible.
    """
    for number in itertools.count(1):
        path = folder / f"{stem}{f'-{number}' if number > 1 else ''}{suffix}"
        if not _taken(path, data):
            return _put(path, data)
    raise AssertionError("numbers do not end")


def _put(path: Path, data: bytes) -> Path:
    try:
        store.write_bytes(path, data)
    except OSError as error:
        why = documents.why_not(error)
        raise PreconditionError(f"cannot write {path}: {why}", fix="-o DIR: a folder that you may write to") from error
    return path


def _taken(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() != data
    except FileNotFoundError:
        return False
    except OSError:  # a folder of that name, or a file of somebody else's
        return os.path.lexists(path)


def _within(name: str) -> str:
    return name.encode()[:LONGEST].decode(errors="ignore")
