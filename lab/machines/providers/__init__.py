"""The table of providers; a new one is a new file and a new row."""

from __future__ import annotations

from typing import Final

from lab.machines.providers.aws import provider as aws
from lab.machines.providers.base import (
    Disks,
    FindsWithoutState,
    FreesHung,
    Journalled,
    NeedsPackages,
    Provider,
    Snapshots,
)
from lab.machines.providers.lima import provider as lima
from lab.machines.providers.local import provider as local
from lab.machines.providers.qemu import provider as qemu
from lab.machines.providers.ssh import provider as ssh
from lab.machines.providers.vagrant import provider as vagrant

PROVIDERS: Final[dict[str, Provider]] = {
    "qemu": qemu,
    "local": local,
    "ssh": ssh,
    "vagrant": vagrant,
    "lima": lima,
    "aws": aws,
}

# What a provider can do besides: `isinstance` asks whether the functions are there, mypy sees here that they fit.
_DISKS: Final[tuple[Disks, ...]] = (qemu,)
_SNAPSHOTS: Final[tuple[Snapshots, ...]] = (qemu, vagrant)
_FOUND: Final[tuple[FindsWithoutState, ...]] = (qemu, local)
_FREED: Final[tuple[FreesHung, ...]] = (qemu,)
_JOURNALLED: Final[tuple[Journalled, ...]] = (ssh,)
_PACKAGES: Final[tuple[NeedsPackages, ...]] = (vagrant,)
