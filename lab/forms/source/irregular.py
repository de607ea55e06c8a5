"""Named pipes, sockets and devices in a source that are called like files of a program.

Go opens whatever is called so, and waits for a pipe. It is shown a file in its place that is no Go: one that the build
leaves out by its name does not matter, one that the build reads is reported by name.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lab.model.errors import ConfigError
from lab.model.regular import irregular, kind

# what Go opens of a folder, by its name (goodOSArchFile and matchFile in go.dev/src/go/build/build.go)
OPENED: Final = (
    *(".go", ".c", ".cc", ".cxx", ".cpp", ".m", ".s", ".h", ".hh", ".hpp", ".hxx", ".f", ".F", ".for", ".f90"),
    *(".S", ".sx", ".swig", ".swigcxx", ".syso"),
)
MOST: Final = 500_000  # entries that are looked at; the folders themselves come before what links lead to
TEXT: Final = "this is in the place of what is no regular file\n"


def find(tops: Iterable[Path], home: Path) -> Iterator[Path]:
    """Those below the folders `tops`, without those below `home`, which is ours. Nothing is opened."""
    real = [os.path.realpath(top) for top in tops]
    seen = {os.path.realpath(home)}  # and each folder that a link led to
    folders, left = deque((os.fspath(top), False) for top in tops), MOST
    while folders and left > 0:
        folder, linked = folders.popleft()
        if linked or Path(folder).name == home.name:
            at = os.path.realpath(folder)
            if at in seen or any(f"{top}/".startswith(f"{at.rstrip('/')}/") for top in real):
                continue
            seen |= {at} if linked else set()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue  # Go says so, where it needs it
        left -= len(entries)
        for entry in entries:
            if entry.is_dir() and not entry.name.startswith("."):
                (folders.append if entry.is_symlink() else folders.appendleft)((entry.path, entry.is_symlink()))
            elif entry.name.endswith(OPENED) and not entry.name.startswith((".", "_")) and _odd(entry):
                yield Path(entry.path)


def _odd(entry: os.DirEntry[str]) -> bool:
    """Neither a file nor a folder; a link that leads nowhere does not make Go wait."""
    return not entry.is_file() and not entry.is_dir() and Path(entry.path).exists()


def refuse(found: Collection[Path], packages: Iterable[Mapping[str, Any]], lists: Iterable[str]) -> None:
    """Raises ConfigError for one that a package is made of."""
    for package in packages if found else ():
        for name in [name for each in lists for name in package.get(each) or ()]:
            if (path := Path(package["Dir"], name)) in found:
                raise error(path)


def overlay(found: Collection[Path], text: Path) -> dict[str, str]:
    """What Go is to see in their place; `text` is a new file. Tests are none of a program: theirs are not there.

    Raises ConfigError for a name that is not UTF-8: Go cannot be told it.
    """
    text.write_text(TEXT, encoding="utf-8")
    for path in found:
        if any("\udc80" <= letter <= "\udcff" for letter in str(path)):
            raise error(path)
    return {str(path): "" if path.name.endswith("_test.go") else str(text) for path in found}


def error(path: Path) -> ConfigError:
    """One of them, as the error that people see."""
    return irregular(path, kind(path.stat().st_mode))
