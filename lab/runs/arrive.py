"""The receiver of `lab/guest/run/pack.py`: checks the stream before and while it is written.

Opens no file before the manifest is complete and its names are checked; no file grows beyond its size there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from lab.guest.wire import FileEntry, GuestManifest, WireError, load
from lab.model.errors import FetchError, SecurityStop
from lab.system import digests, store

MAX_MANIFEST_BYTES: Final = 8 << 20
MAX_FRAME_BYTES: Final = 1 << 20
ROOM_BYTES: Final = 64 << 20  # stays free on the disk
MORE_FILES: Final = "the machine sent more files than its manifest lists"
UNREADABLE: Final = 0xFFFFFFFF
RESUME: Final = "run lab demo again to resume"  # to fetch what nobody seals would fail each time
Progress = Callable[[int, int], None]


def whole(path: Path, entry: FileEntry) -> bool:
    """Whether the file at `path` is the one in the manifest."""
    return (
        path.is_file()
        and not path.is_symlink()
        and path.stat().st_size == entry.size
        and digests.of_file(path) == entry.sha256
    )


def part_of(path: Path) -> Path:
    """The path of a file during transfer: a name that no manifest may have."""
    return path.with_name(f".{path.name}.part")


class Frames:
    """Splits the stream: `data` gets the chunks of the current file; `end` follows, with why it cannot be read."""

    def __init__(self, data: Callable[[memoryview], None], end: Callable[[str], None]) -> None:
        self._data, self._end = data, end
        self._head = b""
        self._left = 0

    def feed(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            if self._left:
                piece, rest = rest[: self._left], rest[self._left :]
                self._left -= len(piece)
                self._data(piece)
                continue
            wanted = 4 - len(self._head)
            self._head, rest = self._head + bytes(rest[:wanted]), rest[wanted:]
            if len(self._head) == 4:
                self._begin(int.from_bytes(self._head))
                self._head = b""

    def _begin(self, length: int) -> None:
        if length in (0, UNREADABLE):
            self._end("" if length == 0 else "cannot be read in the machine")
        elif length > MAX_FRAME_BYTES:
            raise SecurityStop(f"the machine sent a frame of {length} bytes, which was refused", fix="lab down")
        else:
            self._left = length


class Arrival:
    """One attempt to fetch a folder. `bad`: received files that differ from the manifest, with why."""

    def __init__(
        self, target: Path, have: Mapping[str, int], check: Callable[[GuestManifest], None], progress: Progress
    ) -> None:
        self.manifest: GuestManifest | None = None
        self.raw = bytearray()
        self.bad: dict[str, str] = {}
        self.have = have
        self._target, self._check, self._progress = target, check, progress
        self._frames = Frames(self._take, self._ended)
        self._index = 0
        self._file: BinaryIO | None = None
        self._size = 0
        self._done = self._total = 0

    @property
    def complete(self) -> bool:
        return self.manifest is not None and self._index == len(self.manifest.files)

    @property
    def place(self) -> str:
        """The file in transfer, for a message."""
        return "its manifest" if self.manifest is None or self.complete else self.manifest.files[self._index].path

    def feed(self, chunk: bytes) -> None:
        self._frames.feed(chunk)

    def close(self) -> None:
        """Keep the received part of the current file on disk: the next attempt resumes after it."""
        if self._file is not None:
            with self._file as file, contextlib.suppress(OSError):
                file.flush()
                os.fsync(file.fileno())
            self._file = None

    def _take(self, piece: memoryview) -> None:
        if self.manifest is None:
            if len(self.raw) + len(piece) > MAX_MANIFEST_BYTES:
                raise SecurityStop(
                    f"the machine's manifest is larger than {MAX_MANIFEST_BYTES} bytes; nothing was fetched",
                    fix="lab down, then lab demo",
                )
            self.raw += piece
            return
        self._size += len(piece)
        if self.complete:
            raise SecurityStop(MORE_FILES, fix="lab down")
        if self._file is None or self._size > self.manifest.files[self._index].size:
            raise SecurityStop(f"the machine sent more of {self.place} than the size in its manifest", fix="lab down")
        self._file.write(piece)
        self._progress(self._done + self._size, self._total)

    def _ended(self, why: str) -> None:
        if self.manifest is None:
            if not why:
                self._judge()
            return
        if self.complete:
            raise SecurityStop(MORE_FILES, fix="lab down")
        entry = self.manifest.files[self._index]
        final = self._target / entry.path
        if self._file is not None:
            self.close()
            part = part_of(final)
            if whole(part, entry):
                store.retry_while_open(lambda: part.replace(final))
            else:
                part.unlink(missing_ok=True)
                expected = f"(size {entry.size}, sha256 {entry.sha256[:12]}…)"
                self.bad[entry.path] = why or f"differs from its manifest {expected}"
        self._done += entry.size
        self._index += 1
        self._progress(self._done, self._total)
        self._open_next()

    def _judge(self) -> None:
        try:
            manifest = load(GuestManifest, bytes(self.raw))
        except WireError as error:
            raise FetchError(f"the run in the machine is not sealed: {error}", fix=RESUME) from error
        self._check(manifest)
        self.manifest = manifest
        self._total = sum(entry.size for entry in manifest.files)
        self._target.mkdir(parents=True, exist_ok=True, mode=0o700)
        need = self._total - sum(self.have.values())
        free = shutil.disk_usage(self._target).free
        if need > free - ROOM_BYTES:
            message = f"the results need {need} more bytes, {self._target} has {free} free"
            raise FetchError(message, fix="free disk space, then lab fetch")
        self._open_next()

    def _open_next(self) -> None:
        """Open the next file; a complete one stays closed and must get no data."""
        assert self.manifest is not None
        self._file, self._size = None, 0
        if self.complete:
            return
        entry = self.manifest.files[self._index]
        final = self._target / entry.path
        if whole(final, entry):
            return
        final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = part_of(final)
        if final.exists():
            store.retry_while_open(lambda: final.replace(part))
        have = self.have.get(entry.path, 0)
        self._size = have if have <= entry.size else 0
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        self._file = os.fdopen(fd, "wb")
        self._file.truncate(self._size)
        self._file.seek(self._size)
