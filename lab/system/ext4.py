"""Writes ext4 file systems from a folder with `mke2fs -d`, without a mount and without root."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lab.model.errors import ProvisioningError
from lab.system import proc
from lab.system.wait import Deadline

TOOL: Final = "mke2fs"
BLOCK: Final = 4096
INODE: Final = 512  # bytes per file in the tables, generously
SLACK: Final = 1.15  # the tables of the file system itself
READ_ONLY: Final = ("-O", "^has_journal", "-b", str(BLOCK))
FIX: Final = "run the command again"


def needed_kib(tree: Path, spare_kib: int) -> int:
    """The size of a file system that holds `tree` and is never written to."""
    sizes = [path.lstat().st_size for path in tree.rglob("*")]
    return int(sum(-(-size // BLOCK) * BLOCK + INODE for size in sizes) * SLACK / 1024) + spare_kib


def make_read_only(tree: Path, disk: Path, *, label: str, size_kib: int, deadline: Deadline, fix: str = FIX) -> None:
    """A file system as small as `tree` allows, without a journal. Raises ProvisioningError."""
    inodes = sum(1 for _ in tree.rglob("*")) + 64
    options = (*READ_ONLY, "-N", str(inodes), "-E", "lazy_itable_init=0,root_owner=0:0")
    make(tree, disk, label=label, size=f"{size_kib}k", options=options, deadline=deadline, fix=fix)


def make(
    tree: Path, disk: Path, *, label: str, size: str, options: Sequence[str], deadline: Deadline, fix: str = FIX
) -> None:
    """A file system of `size`, owned by root, with what is in `tree`. Raises ProvisioningError."""
    # dies with us: an orphan would write into the file of the next attempt
    argv = [*proc.die_with_parent([proc.require_tool("mke2fs")]), "-q", "-t", "ext4", "-m", "0", "-L", label]
    argv += [*options, "-d", str(tree), str(disk), size]
    proc.check(argv, deadline=deadline, error=ProvisioningError, fix=fix)
