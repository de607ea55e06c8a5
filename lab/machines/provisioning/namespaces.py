"""Private namespaces, in which a command can change a tree but not this host's kernel settings.

`lab` starts `unshare … python -m lab.machines.provisioning.namespaces TREE -- ARGV`. Namespaces alone are not enough:
in a chroot with an ordinary /proc, `sysctl -w` sets the *host's* value. So /proc/sys and the sysrq trigger are mounted
read-only, in the tree and outside it, before ARGV replaces this process. This prevents mistakes; it does not contain
hostile code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lab.model.errors import ProvisioningError
from lab.system import proc
from lab.system.wait import Deadline

UNSHARE: Final = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--uts", "--ipc")
READ_ONLY: Final = ("sys", "sysrq-trigger")
UMASK: Final = 0o022  # Debian's default: files created inside belong to the machine
MOUNT_S: Final = 30.0
NO_ROOT_FIX: Final = "run it as root (the image is built in private mount namespaces)"


def enclosed(tree: Path, argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` in private namespaces around `tree`, and dies with its parent."""
    return [
        *proc.die_with_parent(UNSHARE),
        sys.executable,
        "-m",
        "lab.machines.provisioning.namespaces",
        str(tree),
        "--",
        *argv,
    ]


def close(tree: Path) -> None:
    """Mount a new /proc, on the host's view and in the tree, with its kernel settings read-only."""
    for place in (Path("/proc"), tree / "proc"):
        _mount("-t", "proc", "proc", str(place))
        for part in (place / name for name in READ_ONLY):
            if part.exists():  # a kernel may be built without the sysrq trigger
                _mount("--bind", str(part), str(part))
                _mount("-o", "remount,bind,ro", str(part))
    for name in ("run", "tmp"):  # files that tasks leave there must not become part of the image
        _mount("-t", "tmpfs", "tmpfs", str(tree / name))


def _mount(*arguments: str) -> None:
    deadline = Deadline.after(MOUNT_S)
    proc.check(["mount", *arguments], deadline=deadline, error=ProvisioningError, fix=NO_ROOT_FIX)


def main(arguments: Sequence[str]) -> None:
    """Mount, then become the command. Only for use below `enclosed`."""
    tree, separator, *argv = arguments
    if separator != "--" or not argv or os.getpid() != 1:
        raise SystemExit(2)
    close(Path(tree))
    os.umask(UMASK)
    os.execvp(argv[0], argv)  # noqa: S606  # an argv list, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
