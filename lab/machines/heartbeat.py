"""The pulse of a golden machine, as its host reads it: one JSON line a second on a virtio-serial port."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PORT: Final = "lab.heartbeat"  # the port's name in the machine (playbooks/init/heartbeat.go)
TAIL_BYTES: Final = 4096
# The guest beats each second at the lowest priority; a busy host may hold it up for a while.
FRESH_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One heartbeat: whose boot, from which image, how long up, whether SSH listens; `age_s` since it arrived."""

    boot_id: str
    image_id: str
    uptime_s: float
    ssh: bool
    age_s: float


def last_beat(log: Path) -> Beat | None:
    """The newest whole heartbeat in the file that QEMU writes; None when there is none."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().split(b"\n")
            age_s = time.time() - os.fstat(file.fileno()).st_mtime
    except OSError:
        return None
    for line in reversed(lines[:-1]):  # what follows the last newline is a line that is still being written
        try:
            doc = json.loads(line)
            ssh = bool(doc.get("ssh"))
            return Beat(
                boot_id=doc["boot_id"], image_id=doc["image_id"], uptime_s=doc["uptime_s"], ssh=ssh, age_s=age_s
            )
        except (ValueError, KeyError, TypeError):
            continue
    return None
