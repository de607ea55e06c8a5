"""Compiles the kernel module that executes a counted machine's idle time (playbooks/idle), inside an image's tree.

An image without it still works: its runs wait for idle seconds.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Arch
from lab.system import proc, resources
from lab.system.environment import shielded
from lab.system.wait import Deadline

SOURCE: Final = "playbooks/idle"
FOLDER: Final = "tmp/lab-idle"
MODULE: Final = "lab_idle.ko"
PLACE: Final = "usr/lib/lab"  # where the guest half looks (lab.guest.linux.idle)
HEADERS: Final[dict[Arch, str]] = {"x86_64": "linux-headers-cloud-amd64", "aarch64": "linux-headers-cloud-arm64"}


def build(lab: Lab, tree: Path, log: Path, deadline: Deadline, *, namespaces: tuple[str, ...]) -> None:
    """Compile it for the tree's kernel, with the compiler of the tree's headers; says so where it does not compile."""
    releases = sorted(folder.name for folder in (tree / "lib/modules").iterdir())
    work = tree / FOLDER
    shutil.copytree(resources.root() / SOURCE, work)
    try:
        make = ["make", "-C", f"/lib/modules/{releases[-1]}/build", f"M=/{FOLDER}", "modules"]
        argv = [*proc.die_with_parent(namespaces), "chroot", str(tree), *make]
        result = proc.run(argv, deadline=deadline, env={**shielded(), "LC_ALL": "C.UTF-8"}, log=log)
        if not result.ok:
            said = " | ".join(result.tail().splitlines()[-3:])
            text = f"the module for idle time does not compile, so counted runs wait for idle seconds: {said}"
            lab.bus.emit(Notice(level="warning", text=text))
            return
        target = tree / PLACE / MODULE
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(work / MODULE, target)
        target.chmod(0o644)
    finally:
        shutil.rmtree(work)
