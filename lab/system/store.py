"""Files that are never torn: written beside, synced, renamed; one previous generation kept for state."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from lab.model.errors import ConfigError
from lab.system.wait import Deadline

PREVIOUS_SUFFIX = ".previous"
PATIENT: bool = os.name == "nt"
PATIENCE_S: Final = 5.0
PAUSE_S: Final = 0.003
T = TypeVar("T")


def patiently(act: Callable[[], T]) -> T:
    """What `act` gives; tried again while Windows refuses it, where whoever has a file open, be it to scan it for
    viruses, keeps it from being replaced, removed or read for that moment. Raises PermissionError."""
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
    """Replace `path` by `data`: the old file or the new one is there at every instant."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temp = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        patiently(lambda: temp.replace(path))
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    sync_dir(path.parent)


def write_text(path: Path, text: str, *, mode: int = 0o600) -> None:
    write_bytes(path, text.encode(), mode=mode)


def write_json(path: Path, doc: Any, *, mode: int = 0o600) -> None:
    """Write plain JSON (sorted, indented, final newline)."""
    write_text(path, json.dumps(doc, indent=1, sort_keys=True, ensure_ascii=False) + "\n", mode=mode)


def seen(path: Path) -> list[int]:
    """By what an unchanged file is known again without reading it (size, time of change); nothing when it is gone."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def write_state(path: Path, doc: dict[str, Any], *, schema: int) -> None:
    """Write a state document with its schema number, keeping the generation before it."""
    if path.exists():
        write_bytes(path.with_name(path.name + PREVIOUS_SUFFIX), path.read_bytes())
    write_json(path, {"schema": schema, **doc})


def read_state(path: Path, *, schema: int, read_one: Callable[[dict[str, Any]], Any] = dict) -> Any:
    """Read a state document; a corrupt one falls back to the generation before it; None when neither is usable.

    read_one: makes it what is wanted; one that it cannot read (ValueError, TypeError, KeyError, AttributeError) is
    corrupt too. Raises ConfigError when the file was written by a newer `lab`.
    """
    for candidate in (path, path.with_name(path.name + PREVIOUS_SUFFIX)):
        try:
            doc = json.loads(patiently(candidate.read_bytes))
        except (OSError, ValueError, RecursionError):
            continue
        if not isinstance(doc, dict) or not isinstance(doc.get("schema"), int):
            continue
        if doc["schema"] > schema:
            raise ConfigError(
                f"{candidate} was written by a newer lab (schema {doc['schema']}, this one reads up to {schema})",
                fix="update lab, or use another --home",
            )
        try:
            return read_one(doc)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return None


def append_line(path: Path, doc: dict[str, Any], *, durable: bool) -> None:
    """Append one JSON line; `durable` also syncs it (intents and outcomes, not chatter)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(fd, "ab") as file:
        file.write((json.dumps(doc, ensure_ascii=False) + "\n").encode())
        if durable:
            file.flush()
            os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines; a torn last line (a kill during append) is left out."""
    try:
        raw = patiently(path.read_bytes)
    except FileNotFoundError:
        return []
    out: list[dict[str, Any]] = []
    for line in raw.split(b"\n"):
        if not line.strip():
            continue
        try:
            doc = json.loads(line)
        except ValueError:
            continue
        if isinstance(doc, dict):
            out.append(doc)
    return out
