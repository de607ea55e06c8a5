"""Whether forms are built in the machine, and the machine as a build host."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path
from typing import Final

from lab import forms
from lab.flows import deliver
from lab.model.config import Config
from lab.model.errors import ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import Machine
from lab.remote.base import Transport
from lab.runs import drive
from lab.system.wait import Deadline

CARRY_S: Final = 900.0
UNPACK: Final = 'rm -rf -- "$2" && mkdir -p -- "$2" && tar -xf "$1" -C "$2" && rm -f -- "$1"'


def wanted(config: Config) -> bool:
    """Whether forms may be built in the machine; then it has to be up first."""
    return config.demo.build == "guest" or (config.demo.build == "auto" and sys.platform != "linux")


def there(config: Config, machine: Machine) -> bool:
    """By choice, or where this host is not Linux and the machine's CPU is not emulated. Never for this host itself."""
    if machine.is_this_host:
        return False
    return config.demo.build == "guest" or machine.accel != "tcg"


def opened(lab: Lab, machine: Machine, transport: Transport, root: str) -> forms.BuildMachine:
    """The machine as a build host: copies the sources there as a read-only disk, or as one archive."""

    def carry(folder: Path, digest: str) -> str:
        deadline = Deadline.after(CARRY_S, lab.cancel)
        if not deliver.by_disk(machine):
            return _archive(transport, folder, f"{root}/build/in", deadline)
        home = drive.GuestHome(root=root)
        drive.install(transport, home, deadline)
        at, mount = deliver.deliver(lab, machine, transport, root, folder, digest, deadline)
        drive.call(transport, home, deadline, "prepare", "--journal", f"{root}/mounts.json", *mount)
        return at

    return forms.BuildMachine(link=transport, root=root, arch=machine.spec.arch, carry=carry)


def _archive(transport: Transport, folder: Path, at: str, deadline: Deadline) -> str:
    """Copy ten thousand small files as one archive: each file by itself would cost a round trip."""
    packed = folder.with_suffix(".tar")
    with tarfile.open(packed, "w") as tar:
        tar.add(folder, arcname=".")
    transport.put(packed, f"{at}.tar", deadline)
    packed.unlink()
    unpacked = transport.run(["sh", "-c", UNPACK, "unpack", f"{at}.tar", at], deadline)
    if not unpacked.ok:
        message = "cannot unpack the sources in the machine"
        raise ProvisioningError(message, fix="use --build host", detail=unpacked.tail())
    return at
