"""SHA-256 of files and folders, in hex."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def of_file(path: Path, *, synced: bool = False) -> str:
    """Of its content; `synced`: sync it first, for a digest that is stored with it."""
    with path.open("rb") as file:
        if synced:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_folder(top: Path) -> str:
    """Of every file below `top` by name and content, without byte-code caches."""
    total = hashlib.sha256()
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            path = Path(folder) / name
            total.update(f"{path.relative_to(top).as_posix()}\0".encode())
            total.update(bytes.fromhex(of_file(path)))
    return total.hexdigest()
