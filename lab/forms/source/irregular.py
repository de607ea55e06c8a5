"""Named pipes, sockets and devices in a source whose names look like source files.

Go opens any file of such a name, and blocks on a pipe. An overlay replaces it by a file that is not Go: one that the
build excludes by its name does not matter, one that the build reads is reported by name.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lab.model.errors import ConfigError
from lab.model.regular import irregular, kind

# the file names that Go opens (goodOSArchFile and matchFile in go.dev/src/go/build/build.go)
OPENED: Final = (
    *(".go", ".c", ".cc", ".cxx", ".cpp", ".m", ".s", ".h", ".hh", ".hpp", ".hxx", ".f", ".F", ".for", ".f90"),
    *(".S", ".sx", ".swig", ".swigcxx", ".syso"),
)
MOST: Final = 500_000  # entries to scan; the folders themselves before the targets of links
TEXT: Final = "this replaces a file that is not regular\n"


def find(tops: Iterable[Path], home: Path) -> Iterator[Path]:
    """Those below the folders `tops`, except below lab's `home`. Nothing is opened."""
    real = [os.path.realpath(top) for top in tops]
    visited = {os.path.realpath(home)}  # and each target of a link
    folders, left = deque((os.fspath(top), False) for top in tops), MOST
    while folders and left > 0:
        folder, linked = folders.popleft()
        if linked or Path(folder).name == home.name:
            at = os.path.realpath(folder)
            if at in visited or any(f"{top}/".startswith(f"{at.rstrip('/')}/") for top in real):
                continue
            visited |= {at} if linked else set()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue  # Go reports it if it needs the folder
        left -= len(entries)
        for entry in entries:
            if entry.is_dir() and not entry.name.startswith("."):
                (folders.append if entry.is_symlink() else folders.appendleft)((entry.path, entry.is_symlink()))
            elif entry.name.endswith(OPENED) and not entry.name.startswith((".", "_")) and _odd(entry):
                yield Path(entry.path)


def _odd(entry: os.DirEntry[str]) -> bool:
    """Neither a file nor a folder; Go does not block on a broken link."""
    return not entry.is_file() and not entry.is_dir() and Path(entry.path).exists()


def refuse(found: Collection[Path], packages: Iterable[Mapping[str, Any]], lists: Iterable[str]) -> None:
    """Raises ConfigError for one that is part of a package."""
    for package in packages if found else ():
        for name in [name for each in lists for name in package.get(each) or ()]:
            if (path := Path(package["Dir"], name)) in found:
                raise error(path)


def overlay(found: Collection[Path], text: Path) -> dict[str, str]:
    """The overlay that replaces them; `text` is a new file. Test files are removed, since a program has none.

    Raises ConfigError for a name that is not UTF-8, which an overlay cannot hold.
    """
    text.write_text(TEXT, encoding="utf-8")
    for path in found:
        if any("\udc80" <= letter <= "\udcff" for letter in str(path)):
            raise error(path)
    return {str(path): "" if path.name.endswith("_test.go") else str(text) for path in found}


def error(path: Path) -> ConfigError:
    """The error for one of them."""
    return irregular(path, kind(path.stat().st_mode))
