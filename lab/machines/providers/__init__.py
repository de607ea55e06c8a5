"""The table of providers; a new one is a new file and a new row."""

from __future__ import annotations

from typing import Final

from lab.machines.providers.aws import provider as aws
from lab.machines.providers.base import (
    Disks,
    FindsWithoutState,
    FreesHung,
    H,
    Journalled,
    NeedsPackages,
    Provider,
    ProviderOf,
    Snapshots,
)
from lab.machines.providers.lima import provider as lima
from lab.machines.providers.local import provider as local
from lab.machines.providers.qemu import provider as qemu
from lab.machines.providers.qemu.start import QemuHandle
from lab.machines.providers.ssh import provider as ssh
from lab.machines.providers.ssh.provider import SshHandle
from lab.machines.providers.vagrant import provider as vagrant
from lab.machines.providers.vagrant.files import VagrantHandle


def _row(provider: ProviderOf[H]) -> Provider:
    """Lets mypy check that each provider accepts the handles that it returns."""
    return provider


PROVIDERS: Final[dict[str, Provider]] = {
    "qemu": _row(qemu),
    "local": _row(local),
    "ssh": _row(ssh),
    "vagrant": _row(vagrant),
    "lima": _row(lima),
    "aws": _row(aws),
}

# Optional features: `isinstance` checks that the functions exist, mypy checks here that their types match.
_DISKS: Final[tuple[Disks[QemuHandle]]] = (qemu,)
_SNAPSHOTS: Final[tuple[Snapshots[QemuHandle], Snapshots[VagrantHandle]]] = (qemu, vagrant)
_FOUND: Final[tuple[FindsWithoutState, ...]] = (qemu, local)
_FREED: Final[tuple[FreesHung[QemuHandle]]] = (qemu,)
_JOURNALLED: Final[tuple[Journalled[SshHandle]]] = (ssh,)
_PACKAGES: Final[tuple[NeedsPackages, ...]] = (vagrant,)
