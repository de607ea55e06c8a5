"""Atomic file writes: to a temporary file, synced, renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path


def sync_dir(path: Path) -> None:
    fd = os.open(str(path), os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_text(path: Path, text: str) -> None:
    """Replace `path` atomically."""
    temp = path.with_name(".%s.%d" % (path.name, os.getpid()))
    with open(temp, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(str(temp), str(path))
    sync_dir(path.parent)


def publish(temp: Path, final: Path) -> None:
    """Publish a folder atomically: sync its files, rename it, sync its parent."""
    for file in sorted(temp.rglob("*")):
        if file.is_file():
            with open(file, "rb") as handle:
                os.fsync(handle.fileno())
    sync_dir(temp)
    if final.exists():  # left by a killed run; never sealed, so replaceable
        shutil.rmtree(str(final))
    os.replace(str(temp), str(final))
    sync_dir(final.parent)


def sha256_file(path: str | Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
