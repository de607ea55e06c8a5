"""File names as they are on disk. Go prints U+FFFD for each byte of a name that is not UTF-8."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from lab.model.errors import ConfigError

LOST: Final = "\ufffd"


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return LOST * (error.end - error.start), error.end


codecs.register_error("lab-go", _each_byte)


def restored(packages: list[dict[str, Any]], lists: Iterable[str]) -> list[dict[str, Any]]:
    """The same packages, with the real names of the files in `lists` and of their folders. Raises ConfigError
    when Go prints the names of two files in a folder alike."""
    lists = tuple(lists)
    for package in packages:
        module = package.get("Module") or {}
        for doc, key in ((package, "Dir"), (module, "Dir"), (module.get("Replace") or {}, "Path")):
            if LOST in doc.get(key, ""):
                doc[key] = _path(doc[key])
        for key in lists:
            if any(LOST in name for name in package.get(key) or ()):
                package[key] = [_path(name, package["Dir"]) for name in package[key]]
    return packages


def _path(printed: str, folder: str = "") -> str:
    path = Path(folder)
    for part in printed.split("/"):
        path = path / _name(path, part) if part else Path("/") if path == Path() else path
    return str(path.relative_to(folder) if folder else path)


def _name(folder: Path, printed: str) -> str:
    if LOST not in printed or os.path.lexists(folder / printed):
        return printed
    names = (entry.name for entry in folder.iterdir())
    matches = sorted(name for name in names if os.fsencode(name).decode("utf-8", "lab-go") == printed)
    if len(matches) > 1:
        both = " and ".join(ascii(name) for name in matches[:2])
        raise ConfigError(f"{folder}: Go cannot distinguish {both}, which are not UTF-8", fix="rename one of them")
    return matches[0] if matches else printed
