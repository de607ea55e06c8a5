"""A host with QEMU, SSH and a BPF compiler and nothing of what bakes an image, as a Mac may be one.

In a mount namespace of its own: what other tests see stays as it is.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from lab.machines.host_packages import BAKING

KEPT: Final = ("mount",)
# paths to hide, --, a command
HIDE: Final = 'while [ "$1" != -- ]; do mount --bind /dev/null "$1"; shift; done; shift; exec "$@"'


def hidden() -> list[str]:
    """Every program of this host that only baking needs."""
    names = {name for one in BAKING if one.command not in KEPT for name in (one.command, *one.others)}
    folders = {*os.environ["PATH"].split(os.pathsep), "/usr/sbin", "/sbin", "/usr/local/sbin"}
    found = {shutil.which(name, path=folder) for folder in folders for name in names}
    return sorted({str(Path(path).resolve()) for path in found if path})


def prefix() -> list[str]:
    """What a command is run under so that it does not find them."""
    return ["unshare", "--mount", "sh", "-ec", HIDE, "hide", *hidden(), "--"]
