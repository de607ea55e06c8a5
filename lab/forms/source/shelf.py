"""Reads folders once per command: hashes them and, for a build, copies them in the same pass.

A recipe never reads the original again, so its key is of the very bytes that are compiled.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.model import regular
from lab.model.errors import ConfigError, TransientError

PIECE: Final = 1 << 20  # bytes in memory at a time, for a file of any size
# Entries of lab's folders that are not part of a program.
SKIPPED: Final = frozenset({".git", ".hg", ".gitignore", "build.yaml"})
Entry = tuple[str, Path | bytes]  # name below the folder, and the path of its content, or the content itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The result of reading the folder `origin`; `root` is the copy, None when it was only hashed."""

    origin: Path
    digest: str
    root: Path | None = None
    large: tuple[tuple[str, int], ...] = ()  # (name, bytes) of files above LARGE

    def copy(self) -> Path:
        """The folder of the copy."""
        if self.root is None:
            raise AssertionError(f"{self.origin} was only hashed")
        return self.root


LARGE: Final = 64 << 20


class Shelf:
    """Every folder of a command, each read once. With a `room` they are copied into it."""

    def __init__(self, room: Path | None = None) -> None:
        self.room = room
        self._numbers = itertools.count()
        self._held: dict[tuple[Path, tuple[str, ...]], Tree] = {}

    def folder(self, origin: Path, exclude: Iterable[str] = ()) -> Tree:
        """All files of one of lab's folders; a file counts as a folder with that one file."""
        key = (origin, tuple(exclude))
        if key not in self._held:
            listed = [(origin.name, origin)] if origin.is_file() else files(origin, exclude)
            self._held[key] = self.put(origin, listed)
        return self._held[key]

    def put(self, origin: Path, entries: Iterable[Entry]) -> Tree:
        """Read these files, sorted by name. Raises ConfigError (unreadable), TransientError (removed meanwhile)."""
        root = None
        if self.room is not None:
            self.room.mkdir(parents=True, exist_ok=True, mode=0o700)
            root = self.room / str(next(self._numbers))
            root.mkdir(mode=0o700)
        total = hashlib.sha256()
        large = []
        for name, content in sorted(entries, key=lambda entry: entry[0]):
            if name.startswith("/") or ".." in name.split("/"):
                raise AssertionError(f"{name} would be written outside of the copy of {origin}")
            runs, digest, size = _read(content, root / name if root else None)
            total.update(f"{name}\0{'x' if runs else '-'}\0{digest}\n".encode("utf-8", "surrogateescape"))
            if size > LARGE:
                large.append((name, size))
        return Tree(origin=origin, digest=total.hexdigest(), root=root, large=tuple(large))


def _read(content: Path | bytes, target: Path | None) -> tuple[bool, str, int]:
    """(is executable, digest, bytes) of one file, written to `target` while it is read."""
    digest, size, runs = hashlib.sha256(), 0, False
    with ExitStack() as stack:
        out = None
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            out = stack.enter_context(target.open("wb"))
        for piece in [content] if isinstance(content, bytes) else _pieces(content):
            digest.update(piece)
            size += len(piece)
            if out is not None:
                out.write(piece)
    if isinstance(content, Path):
        runs = bool(content.stat().st_mode & 0o100)
    if target is not None:
        target.chmod(0o700 if runs else 0o600)  # a build may write in its copy, whatever the source's mode
    return runs, digest.hexdigest(), size


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with regular.opened(path) as file:
            while piece := file.read(PIECE):
                yield piece
    except regular.NotRegular as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", fix=f"replace or remove {path}") from error
    except FileNotFoundError as error:
        message = f"{path} was removed while the source was read"
        raise TransientError(message, fix="run the command again") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", fix=f"make {path} readable") from error


def files(root: Path, exclude: Iterable[str] = ()) -> Iterator[tuple[str, Path]]:
    """(relative name, path) of every file of one of lab's folders that may be part of a program.

    A link counts as its target; other types (a pipe, an editor's dangling lock) are left out.
    """
    left_out = SKIPPED | {name.rstrip("/") for name in exclude}
    for path in sorted(root.iterdir(), key=lambda p: p.name):
        if path.name in left_out or path.name.endswith("_test.go"):
            continue
        if path.is_dir() and not path.is_symlink():
            for name, inner in files(path):
                yield f"{path.name}/{name}", inner
        elif path.is_file():
            yield path.name, path
