"""What may be in the folder of a machine that is called m."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REST: dict[str, Any] = {"endpoint": None, "image_id": "", "accel": "", "ready_boot_id": ""}
HANDLE: dict[str, Any] = {"provider": "qemu", "name": "m", "machine_id": "0123456789abcdef" * 2, "data": {}}
WHOLE: dict[str, Any] = {"schema": 1, "spec": {"name": "m"}, "handle": HANDLE, **REST}


def written(doc: object, name: str = "machine.json") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_text(doc if isinstance(doc, str) else json.dumps(doc))

    return write


def with_handle(**values: Any) -> Callable[[Path], None]:
    return written({**WHOLE, "handle": {**HANDLE, **values}})


def a_folder(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).mkdir()
        (folder / name / "deep").write_text("x")

    return make


def deep_journal(folder: Path) -> None:
    (folder / "journal.jsonl").write_text("[" * 100_000 + "\n")


def a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "machine.json")


def no_key(folder: Path) -> None:
    (folder / "host_ed25519").write_text("no key")


posix = pytest.mark.skipif(sys.platform == "win32", reason="folders and pipes of POSIX")
