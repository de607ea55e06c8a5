"""Build the guest half as one reproducible file: same sources, same bytes."""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Final

import lab

MAIN: Final = "import sys\n\nfrom lab.guest.__main__ import main\n\nsys.exit(main())\n"
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
SHEBANG: Final = b"#!/usr/bin/env python3\n"


@functools.cache
def build() -> bytes:
    """Bytes of guest.pyz: the package `lab.guest` with a `__main__`; runs under Python >= 3.9."""
    root = Path(lab.__file__).parent
    files = {"__main__.py": MAIN.encode(), "lab/__init__.py": b'"""The guest half of lab."""\n'}
    for path in sorted((root / "guest").rglob("*.py")):
        files[f"lab/{path.relative_to(root).as_posix()}"] = path.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, date_time=EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return SHEBANG + buffer.getvalue()


@functools.cache
def name() -> str:
    """The name of its file in a machine; differs between versions."""
    return f"guest-{hashlib.sha256(build()).hexdigest()[:12]}.pyz"
