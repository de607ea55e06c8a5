"""How much can still be written to a folder."""

from __future__ import annotations

import shutil
from pathlib import Path


def exists_for(folder: Path) -> Path:
    """The folder, or where it does not exist yet the nearest one above it that does."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def free_bytes(folder: Path) -> int:
    """Free bytes where a folder is, or will be."""
    return shutil.disk_usage(exists_for(folder)).free
