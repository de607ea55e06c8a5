"""The seal of an image: a digest of each file, written last, and a cheap check that nothing changed since.

A disk is mostly holes, so its digest covers only the blocks with data: copying an image to a file system that fills
holes, or punches new ones, does not break its seal, and hashing 16 GiB takes only as long as its data.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lab.model.errors import SecurityStop
from lab.system import store

BLOCK: Final = 64 * 1024
SEAL_FILE: Final = "image.json"
WITNESS_FILE: Final = "checked.json"  # size, mtime and inode of each file when it was last hashed in full
SCHEMA: Final = 1


def digest(path: Path) -> str:
    """SHA-256 over the file's length and each block that is not all zeros, with its number. Hex."""
    total = hashlib.sha256()
    zeros = bytes(BLOCK)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        total.update(size.to_bytes(8, "big"))
        for begin, end in _extents(file.fileno(), size):
            file.seek(begin)
            for offset in range(begin, end, BLOCK):
                block = file.read(BLOCK)
                if block != zeros[: len(block)]:
                    total.update(offset.to_bytes(8, "big"))
                    total.update(block)
    return total.hexdigest()


def _extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges of `fd` that may hold data, in whole blocks, not overlapping; the whole file where that is unknown."""
    if sys.platform == "win32" or not hasattr(os, "SEEK_DATA"):
        yield 0, size
        return
    done = 0
    while done < size:
        try:
            begin = os.lseek(fd, done, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole up to the end
                return
            raise
        end = os.lseek(fd, begin, os.SEEK_HOLE)
        first = max(done, begin - begin % BLOCK)
        done = min(size, -(-end // BLOCK) * BLOCK)
        yield first, done


def seal(directory: Path, names: tuple[str, ...], facts: dict[str, Any]) -> None:
    """Hash `names` in `directory`, make them durable and write the seal with `facts` beside them, last of all."""
    for name in names:
        with (directory / name).open("rb") as file:
            os.fsync(file.fileno())
    digests = {name: digest(directory / name) for name in names}
    store.write_json(directory / WITNESS_FILE, {name: _witness(directory / name) for name in names})
    store.write_json(directory / SEAL_FILE, {"schema": SCHEMA, "digests": digests, **facts})


def read_seal(directory: Path) -> dict[str, Any] | None:
    """What `seal` wrote; None when the directory was never sealed."""
    try:
        doc = json.loads((directory / SEAL_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return doc if isinstance(doc, dict) and doc.get("schema") == SCHEMA else None


def check(directory: Path, *, deep: bool = False) -> dict[str, str]:
    """The digests of a sealed directory, after making sure that its files still have them.

    A file whose size, mtime and inode are those of its last full hash is taken as unchanged, unless `deep`.
    Raises SecurityStop naming the first file that is missing or differs.
    """
    sealed = read_seal(directory)
    if sealed is None:
        raise SecurityStop(f"{directory} has no readable seal", fix=f"rm -r {directory}, then run the command again")
    digests: dict[str, str] = sealed["digests"]
    checked = _read_witness(directory)
    for name, expected in digests.items():
        path = directory / name
        if not path.is_file():
            raise _broken(directory, f"{name} is missing")
        if not deep and checked.get(name) == _witness(path):
            continue
        actual = digest(path)
        if actual != expected:
            raise _broken(directory, f"{name} has digest {actual[:16]}…, its seal says {expected[:16]}…")
        checked[name] = _witness(path)
        store.write_json(directory / WITNESS_FILE, checked)
    return digests


def _broken(directory: Path, what: str) -> SecurityStop:
    message = f"the cached image {directory.name} was changed: {what}"
    return SecurityStop(message, fix=f"rm -r {directory}, then run the command again (it builds a new one)")


def _witness(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _read_witness(directory: Path) -> dict[str, list[int]]:
    try:
        doc = json.loads((directory / WITNESS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return doc if isinstance(doc, dict) else {}
