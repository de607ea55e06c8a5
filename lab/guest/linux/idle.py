"""Lets a machine that counts instructions execute its idle time, for as long as a run lasts.

Such a machine's clock advances with its instructions; while it idles, the clock follows the host's, a second for a
second. With the kernel module of the golden image (playbooks/idle) its idle loop executes no-ops instead, thirty
seconds of which take the host one. Nothing else changes: idle time is idle, and no process competes. Why not another
way: docs/adr/0013.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator

NAME = "lab_idle"
MODULE = "/usr/lib/lab/lab_idle.ko"
LOADED = "/sys/module/" + NAME
UNLOAD = ["/sbin/rmmod", NAME]


@contextlib.contextmanager
def executed(*, wanted: bool) -> Iterator[bool]:
    """Execute idle time inside the block; yields whether the machine can.

    A killed run leaves the module loaded; systemd unloads it when the run's unit ends (`launch.unit_argv`).
    """
    does = wanted and os.path.exists(MODULE) and (os.path.isdir(LOADED) or _ran(["/sbin/insmod", MODULE]))
    try:
        yield does
    finally:
        if does:
            _ran(UNLOAD)


def _ran(argv: list[str]) -> bool:
    quiet = subprocess.DEVNULL
    try:
        return subprocess.run(argv, stdin=quiet, stdout=quiet, stderr=quiet, check=False).returncode == 0
    except OSError:
        return False
