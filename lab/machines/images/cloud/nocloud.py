"""The NoCloud disk of a cloud image's first boot, and the scripts that run before and after the playbook.

NoCloud: a file system called cidata with user-data and meta-data (cloud-init's documentation, datasource NoCloud).
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final

from lab.machines import first_boot
from lab.model.machine import Seed

LABEL: Final = "cidata"
# Units of a cloud image that a lab machine does not need; masking a missing one is harmless.
GENERATORS: Final = ("cloud-init-generator", "netplan")
UNITS: Final = (
    "cloud-config.service",
    "cloud-final.service",
    "cloud-init-hotplugd.socket",
    "cloud-init-local.service",
    "cloud-init-main.service",
    "cloud-init-network.service",
    "cloud-init.service",
    "polkit.service",
    "rsyslog.service",
    "unattended-upgrades.service",
)
LEFTOVERS: Final = (
    first_boot.HOST_KEY,
    f"{first_boot.HOST_KEY}.pub",
    first_boot.AUTHORIZED,
    first_boot.SETTINGS,
    "/root/.ssh",
    "/root/.ansible",
    "/var/lib/cloud",
)


def user_data(seed: Seed) -> str:
    """A cloud-config that allows root logins by the seed's keys, and creates no users. JSON, which is YAML."""
    doc: dict[str, Any] = {
        "bootcmd": [["sh", "-c", first_boot.script(seed)]],
        "users": [],
        "disable_root": False,
        "ssh_deletekeys": False,
        "ssh_genkeytypes": [],
        "package_update": False,
        "package_upgrade": False,
    }
    return "#cloud-config\n" + json.dumps(doc, indent=1) + "\n"


def write_disk(target: Path, seed: Seed) -> None:
    """The NoCloud disk. It holds the host's private key: readable by its owner only."""
    import pycdlib

    files = {
        "user-data": user_data(seed),
        "meta-data": json.dumps({"instance-id": seed.machine_id, "local-hostname": "lab"}) + "\n",
    }
    disk = pycdlib.PyCdlib()
    disk.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    for name, text in files.items():
        data = text.encode()
        place = f"/{name.replace('-', '').upper()}.;1"
        disk.add_fp(io.BytesIO(data), len(data), place, rr_name=name, joliet_path=f"/{name}")
    target.touch(mode=0o600)
    disk.write(str(target))
    disk.close()


def go_script(device: str) -> str:
    """Unpack the toolchain from its disk, a plain tar, replacing an older one."""
    return f"set -eu\nrm -rf /usr/local/go\ntar -xf {device} -C /usr/local --no-same-owner\n"


def last_script() -> str:
    """Remove all traces of the first boot, so that no machine has them; then free their blocks."""
    masks = [f"/etc/systemd/system-generators/{name}" for name in GENERATORS]
    masks += [f"/etc/systemd/system/{name}" for name in UNITS]
    return "\n".join(
        (
            "set -eu",
            f"rm -rf {' '.join(LEFTOVERS)}",
            "mkdir -p /etc/systemd/system-generators",
            f"for place in {' '.join(masks)}; do ln -sfn /dev/null $place; done",
            "if test -d /etc/cloud; then touch /etc/cloud/cloud-init.disabled; fi",
            "rm -rf /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /var/log/journal/*",
            "rm -f /etc/systemd/network/*cloud-init* /var/lib/systemd/random-seed",
            "sync",
            "fstrim / || true",  # a smaller image where it works, the same image where not
            "",
        )
    )
