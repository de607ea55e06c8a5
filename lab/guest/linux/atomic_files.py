"""Files that are never torn: written beside, synced, renamed."""

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
    """Replace `path`: the old file or the new one is there at every instant."""
    temp = path.with_name(".%s.%d" % (path.name, os.getpid()))
    with open(temp, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(str(temp), str(path))
    sync_dir(path.parent)


def publish(temp: Path, final: Path) -> None:
    """Make a folder appear whole: sync what is in it, rename, sync its parent."""
    for file in sorted(temp.rglob("*")):
        if file.is_file():
            with open(file, "rb") as handle:
                os.fsync(handle.fileno())
    sync_dir(temp)
    if final.exists():  # left by a run that was killed before it could tell; never sealed, so replaceable
        shutil.rmtree(str(final))
    os.replace(str(temp), str(final))
    sync_dir(final.parent)


def sha256_file(path: str | Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
