"""Checks a disk file's header before anything opens it: a disk may refer to other files of this host."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

from lab.model.errors import SecurityStop

QCOW2: Final = b"QFI\xfb"
EXTERNAL_DATA: Final = 1 << 2  # qcow2's incompatible feature: the data is in another file
HEADER_BYTES: Final = 112


def backing(path: Path) -> Path | None:
    """The backing file of the qcow2 disk `path`; None when it has none, or is not qcow2."""
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
        if not header.startswith(QCOW2) or len(header) < HEADER_BYTES:
            return None
        at, length = struct.unpack(">QI", header[8:20])
        file.seek(at)
        return Path(os.fsdecode(file.read(length))) if at else None


def need_whole(name: str, header: bytes) -> None:
    """Raise SecurityStop when the qcow2 disk with this `header` needs another file; any other format passes.

    Layout: magic, version, offset of the backing file's name; incompatible features from version 3 on.
    """
    if not header.startswith(QCOW2) or len(header) < HEADER_BYTES:
        return
    version, backing = struct.unpack(">IQ", header[4:16])
    features = struct.unpack(">Q", header[72:80])[0] if version >= 3 else 0
    if backing or features & EXTERNAL_DATA:
        message = f"{name} has a backing or data file, which would be read from this host; it was not used"
        raise SecurityStop(message, fix="use a self-contained disk (qemu-img convert writes one)")
