"""Which boot of this host it is. The time of the boot does not tell: it moves with each step of the wall clock."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

from lab.model.errors import LabError
from lab.system import proc
from lab.system.wait import Deadline

LINUX: Final = Path("/proc/sys/kernel/random/boot_id")
DARWIN: Final = ("sysctl", "-n", "kern.bootsessionuuid")
ASK_S: Final = 5.0


def session() -> str:
    """A name that no other boot has; "" where the system gives none."""
    with contextlib.suppress(OSError, UnicodeDecodeError, LabError):
        if sys.platform == "darwin":
            asked = proc.run(DARWIN, deadline=Deadline.after(ASK_S))
            return asked.text().strip() if asked.ok else ""
        return LINUX.read_text(encoding="ascii").strip()
    return ""
