"""Atomic file writes: to a temporary file, synced, renamed; state files keep one previous version."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from lab.model import regular
from lab.system.wait import Deadline

STATE_BYTES: Final = 16 << 20
TAIL_BYTES: Final = 256 << 10
PREVIOUS_SUFFIX = ".previous"
PATIENT: bool = os.name == "nt"
PATIENCE_S: Final = 5.0
PAUSE_S: Final = 0.003
T = TypeVar("T")


def retry_while_open(act: Callable[[], T]) -> T:
    """The result of `act`; retried on Windows, where a file that another program has open, such as a virus
    scanner, cannot be replaced, removed or read for a moment. Raises PermissionError."""
    deadline = Deadline.after(PATIENCE_S)
    while True:
        try:
            return act()
        except PermissionError:
            if not PATIENT or deadline.passed():
                raise
        deadline.sleep(PAUSE_S)


def sync_dir(path: Path) -> None:
    """Make a rename in `path` durable; a no-op where directories cannot be opened (Windows)."""
    if os.name == "nt":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_bytes(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` by `data` atomically."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temp = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        retry_while_open(lambda: temp.replace(path))
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    sync_dir(path.parent)


def tail(path: Path, size: int = TAIL_BYTES) -> bytes:
    """At most the last `size` bytes of a file of any size; b"" when it is missing or not a regular file."""
    try:
        with regular.opened(path) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read(size)
    except OSError:
        return b""


def write_text(path: Path, text: str, *, mode: int = 0o600) -> None:
    write_bytes(path, text.encode(), mode=mode)


def write_json(path: Path, doc: Any, *, mode: int = 0o600) -> None:
    """Write plain JSON."""
    write_text(path, json_text(doc), mode=mode)


def json_text(doc: Any) -> str:
    """Plain JSON as it is written (sorted, indented, final newline)."""
    return json.dumps(doc, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def file_stamp(path: Path) -> list[int]:
    """Identifies an unchanged file without reading it (size, mtime); [] when it is missing."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def mark_used(path: Path) -> None:
    """Set the time of last use, by which `lab cache prune` goes: of a file its access, since its change identifies it.

    A cache that this user may only read stays as it is.
    """
    with contextlib.suppress(OSError):
        now = time.time_ns()
        os.utime(path, ns=(now, now if path.is_dir() else path.stat().st_mtime_ns))


def write_state(path: Path, doc: dict[str, Any], *, schema: int) -> None:
    """Write a state document with its schema number, keeping the previous version."""
    with contextlib.suppress(OSError), regular.opened(path) as file:
        before = file.read(STATE_BYTES + 1)
        if len(before) <= STATE_BYTES:  # a larger file is not lab's
            write_bytes(previous(path), before)
    write_json(path, {"schema": schema, **doc})


def previous(path: Path) -> Path:
    """The path of a state document's previous version."""
    return path.with_name(path.name + PREVIOUS_SUFFIX)


def append_line(path: Path, doc: dict[str, Any], *, durable: bool) -> None:
    """Append one JSON line; `durable` also syncs it (intents and outcomes, not chatter)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(fd, "ab") as file:
        file.write((json.dumps(doc, ensure_ascii=False) + "\n").encode())
        if durable:
            file.flush()
            os.fsync(file.fileno())
