"""Names of files as they are on disk. Go prints U+FFFD for each byte of a name that is not UTF-8."""

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
    """The same packages, with the files in `lists` and their folders by the names that they have. Raises ConfigError
    where two files of a folder have names that Go prints alike."""
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


def _path(told: str, folder: str = "") -> str:
    path = Path(folder)
    for part in told.split("/"):
        path = path / _name(path, part) if part else Path("/") if path == Path() else path
    return str(path.relative_to(folder) if folder else path)


def _name(folder: Path, told: str) -> str:
    if LOST not in told or os.path.lexists(folder / told):
        return told
    there = sorted(each.name for each in folder.iterdir() if os.fsencode(each.name).decode("utf-8", "lab-go") == told)
    if len(there) > 1:
        both = " and ".join(ascii(each) for each in there[:2])
        raise ConfigError(f"{folder}: Go cannot tell {both} apart, whose names are not UTF-8", fix="rename one of them")
    return there[0] if there else told
