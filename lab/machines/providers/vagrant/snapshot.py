"""Vagrant's snapshots with its libvirt driver: a running machine's memory and disk in its volume.

Seen with vagrant-libvirt 0.11.2 and libvirt 9.0, emulated: saving 2 s, restoring 3 to 5 s, most of it Vagrant's start.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from lab.machines.providers.snapshot_key import Kept, differing, misfit, own_cpu
from lab.machines.providers.vagrant import cli as vagrant_cli
from lab.machines.providers.vagrant import files as vagrant_files
from lab.machines.providers.vagrant import libvirt
from lab.machines.providers.vagrant.files import VagrantHandle
from lab.model.errors import PreconditionError
from lab.model.lab import Lab

DRIVER: Final = "libvirt"
SAVE_S: Final = 300.0


def key(lab: Lab, work: Path) -> dict[str, str]:
    """What must be unchanged for a restore; libvirt compares the rest of the domain itself."""
    stored = vagrant_files.read(work)
    domain: dict[str, Any] = stored.get("libvirt", {})
    box, image = stored.get("vm", {}), stored.get("lab", {}).get("image_id", "")
    model = domain.get("cpu_model") or f"{domain.get('cpu_mode')}, {own_cpu()}"
    devices = json.dumps([domain, stored.get("serials"), stored.get("ports")], sort_keys=True)
    return {
        "qemu": libvirt.hypervisor(lab),
        "accelerator": str(stored.get("lab", {}).get("accel", "")),
        "cpu": str(model),
        "machine type": str(domain.get("machine_type", "")),
        "topology": f"{domain.get('cpus')} CPUs, {domain.get('memory')} MiB",
        "image": str(image or box.get("box_download_checksum", "")),
        "kernel": "the image's" if image else "the box's",
        "devices": hashlib.sha256(devices.encode()).hexdigest()[:16],
    }


def save(lab: Lab, handle: VagrantHandle, name: str) -> Kept:
    """Save the running machine as `name`, replacing an older one; it keeps running. Returns what `restore` needs.

    Raises PreconditionError with another driver, ProvisioningError with Vagrant's error.
    """
    if handle.driver != DRIVER:
        message = f"the vagrant provider does not support snapshots with the driver {handle.driver}"
        raise PreconditionError(message, fix=f"use --driver {DRIVER}, or run `vagrant snapshot` yourself")
    work = _work(handle)
    vagrant_cli.end_left(work)
    vagrant_cli.run(lab, work, ["snapshot", "save", "--force", name], limit_s=SAVE_S)
    return Kept(key=key(lab, work))


def changed(lab: Lab, handle: VagrantHandle, kept: Kept) -> list[str]:
    """What has changed since it was saved, as text: nothing of it can be restored then. Touches no machine."""
    return differing(kept.key, key(lab, _work(handle)))


def restore(lab: Lab, handle: VagrantHandle, name: str, kept: Kept) -> None:
    """Restore `name`, whatever the machine's state. Raises PreconditionError when it does not match any more."""
    if why := changed(lab, handle, kept):
        raise misfit(name, why)
    work = _work(handle)
    vagrant_cli.end_left(work)
    vagrant_cli.run(lab, work, ["snapshot", "restore", name, "--no-provision"], limit_s=SAVE_S)


def _work(handle: VagrantHandle) -> Path:
    return Path(handle.directory) / "vagrant"
