"""Lima's template for a machine: generated from the spec alone, without Lima's own templates."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from lab.machines import first_boot
from lab.machines.images.cloud import catalog as cloud_catalog
from lab.model.machine import HOST_ARCH, MachineSpec, Seed

PLATFORM: str = sys.platform  # as text: what is decided by it is decided on every platform
USER: Final = "lab"  # Lima's login, fixed: a user name of the host may exist in the image already
NOT_WITH_VZ: Final = frozenset({"debian-11"})  # its kernel does not boot there


def driver(spec: MachineSpec, platform: str = PLATFORM) -> str:
    """The configured driver, else vz where it can run this machine, else qemu."""
    if spec.driver:
        return spec.driver
    apple = platform == "darwin" and spec.arch == HOST_ARCH and spec.image not in NOT_WITH_VZ
    return "vz" if apple else "qemu"


def template(spec: MachineSpec, seed: Seed) -> str:
    """The whole template; JSON, which is YAML. It holds the host's private key: keep it to the owner."""
    doc: dict[str, Any] = {
        "vmType": driver(spec),
        "os": "Linux",
        "arch": spec.arch,
        "images": [cloud_catalog.image(spec)],
        "cpus": spec.cpus,
        "memory": f"{spec.memory_mib}MiB",
        "disk": f"{spec.disk_gib}GiB",
        "mounts": [],
        "plain": True,  # no guest agent, no forwarded ports, no shared folders
        "containerd": {"system": False, "user": False},
        "upgradePackages": False,
        "ssh": {"localPort": 0, "loadDotSSHPubKeys": False, "forwardAgent": False},
        "user": {"name": USER, "home": f"/home/{USER}"},
        "provision": [{"mode": "boot", "script": first_boot.script(seed)}],
    }
    return json.dumps(doc, indent=1) + "\n"
