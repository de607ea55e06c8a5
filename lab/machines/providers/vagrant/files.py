"""The files that one machine's Vagrant reads: the JSON for our Vagrantfile, and the machine's identity.

For the golden image: an initial RAM disk with the machine's seed, as with QEMU, and a small DHCP client. For a given
box: a script that Vagrant runs in it once, over its first connection.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lab.machines.providers.vagrant.box import Box
from lab.machines.providers.vagrant.cli import JSON_FILE
from lab.machines.providers.vagrant.libvirt import URI, volume_path
from lab.machines.vm import heartbeat, initrd
from lab.machines.vm.kernel_args import kernel_args
from lab.model.errors import PreconditionError, Unreadable
from lab.model.machine import Handle, MachineSpec, Seed
from lab.model.paths import HEARTBEAT_LOG, SERIAL_LOG
from lab.system import documents, resources, store
from lab.system.documents import Source

INITRD_FILE: Final = "initrd.cpio"
SCRIPT_FILE: Final = "setup.sh"
BOX_USER: Final = "vagrant"  # Vagrant's convention for boxes: a user with passwordless sudo
BOOT_S: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class VagrantHandle(Handle):
    """`image_id` is "" for a given box."""

    uuid: str
    identity: str
    host_key: str
    driver: str


EMULATED_BOOT_S: Final = 1200
DHCP: Final = "vagrant/dhcp.py"
DHCP_UNIT: Final = b"""[Unit]
Description=Ask the network for this machine's address
DefaultDependencies=no
After=-.mount
Before=shutdown.target
Conflicts=shutdown.target

[Service]
ExecStart=/usr/bin/python3 -I -S -B /usr/lib/lab/dhcp.py
Restart=on-failure
"""
# pulled in by a unit that starts anyway: a seed holds files, not the links that enable a unit
DHCP_WANTED: Final = b"[Unit]\nWants=lab-dhcp.service\n"
SCRIPT: Final = """#!/bin/sh
# Runs as root in the new machine, once: it gets the host key that its host knows already, and lets one key in.
set -eu
umask 077
cat > /etc/ssh/ssh_host_ed25519_key <<'KEY'
{host_key}KEY
echo '{host_key_public}' > /etc/ssh/ssh_host_ed25519_key.pub
chmod 0644 /etc/ssh/ssh_host_ed25519_key.pub
home=$(getent passwd {user} | cut -d: -f6)
mkdir -p "$home/.ssh"
grep -qxF '{user_key}' "$home/.ssh/authorized_keys" 2>/dev/null || echo '{user_key}' >> "$home/.ssh/authorized_keys"
chown -R {user}: "$home/.ssh"
if command -v systemctl >/dev/null; then systemctl restart ssh || systemctl restart sshd; else service ssh restart; fi
"""


def ident(machine_id: str) -> str:
    """The name of a machine's resources in libvirt and of its boxes in Vagrant."""
    return f"lab-{machine_id[:8]}"


def box_name(machine_id: str, digest: str) -> str:
    """A name per digest: Vagrant never reads a box of a known name again."""
    return f"{ident(machine_id)}-{digest.partition(':')[2][:8]}"


def write(
    work: Path, spec: MachineSpec, seed: Seed, box: Box, *, driver: str, accel: str, taken: Iterable[str]
) -> None:
    """Write the files to `work`. The same input gives the same files; a chosen subnet stays."""
    own = box.image_id != ""
    if own:
        _write_initrd(work, spec, seed, box)
    else:
        store.write_text(work / SCRIPT_FILE, script(seed), mode=0o600)
    subnet = _chosen(work) or free_subnet(seed.machine_id, taken)
    doc = document(work, spec, seed, box, driver=driver, accel=accel, subnet=subnet)
    store.write_json(work / JSON_FILE, doc)


def document(
    work: Path, spec: MachineSpec, seed: Seed, box: Box, *, driver: str, accel: str, subnet: str
) -> dict[str, Any]:
    """The document for our Vagrantfile; each key is a setting of Vagrant or the plugin."""
    own = box.image_id != ""
    algorithm, _, digits = box.digest.partition(":")
    size = {"cpus": spec.cpus, "memory": spec.memory_mib}
    vm = {
        "box": box_name(seed.machine_id, box.digest),
        "box_url": box.path.as_uri(),
        "box_download_checksum": digits,
        "box_download_checksum_type": algorithm,
        "box_check_update": False,
        "boot_timeout": EMULATED_BOOT_S if accel == "tcg" else BOOT_S,
        "allow_fstab_modification": False,
        "allow_hosts_modification": False,
    }
    key = {"private_key_path": str(seed.user_key_private), "insert_key": False, "shell": "sh", "sudo_command": "%c"}
    return {
        "name": spec.name,
        "vm": vm | ({"guest": "debian"} if own else {}),
        "ssh": {"username": "root", **key} if own else {"username": BOX_USER},
        "scripts": [] if own else [str(work / SCRIPT_FILE)],
        "libvirt": size | _libvirt(seed, own=own, accel=accel, subnet=subnet) if driver == "libvirt" else {},
        "serials": [str(work.parent / SERIAL_LOG)] if driver == "libvirt" else [],
        "ports": {heartbeat.PORT: str(work.parent / HEARTBEAT_LOG)} if own else {},
        "virtualbox": size | {"name": f"{ident(seed.machine_id)}-{spec.name}"} if driver == "virtualbox" else {},
        "lab": {"driver": driver, "accel": accel, "subnet": subnet, "image_id": box.image_id},
    }


def _libvirt(seed: Seed, *, own: bool, accel: str, subnet: str) -> dict[str, Any]:
    name = ident(seed.machine_id)
    settings: dict[str, Any] = {
        "uri": URI,
        "driver": "qemu" if accel == "tcg" else "kvm",
        "uuid": uuid_of(seed.machine_id),
        "default_prefix": f"{name}-",
        "storage_pool_name": name,
        "management_network_name": name,
        "management_network_address": subnet,
        # the golden image needs no network, as with QEMU; a box still needs packages
        "management_network_mode": "none" if own else "nat",
        "graphics_type": "none",
        "disk_driver_opts": {"cache": "unsafe"},
        "memballoon_enabled": False,
    }
    if accel == "tcg":
        settings |= {"cpu_mode": "custom", "cpu_model": "Nehalem"}  # emulation is slower with AVX than without
    if own:
        settings |= {"kernel": volume_path(name, "kernel"), "initrd": volume_path(name, "initrd")}
        settings |= {"cmd_line": kernel_args("x86_64"), "machine_type": "q35"}
    return settings


def uuid_of(machine_id: str) -> str:
    import uuid

    return str(uuid.UUID(machine_id))


def free_subnet(machine_id: str, taken: Iterable[str]) -> str:
    """A private /24 that no interface of this host is in. Raises PreconditionError."""
    used = [ipaddress.ip_interface(one).network for one in taken]
    seeds = bytes.fromhex(machine_id)
    for first, second in itertools.pairwise(seeds):
        network = ipaddress.ip_network(f"10.{64 + first % 64}.{second}.0/24")
        if not any(network.overlaps(one) for one in used if one.version == 4):
            return str(network)
    raise PreconditionError("all subnets for this machine are in use on this host", fix="lab down, then lab up")


def script(seed: Seed) -> str:
    """The setup script for a given box."""
    return SCRIPT.format(
        host_key=seed.host_key_private.read_text(encoding="ascii"),
        host_key_public=seed.host_key_public.strip(),
        user_key=seed.user_key_public.strip(),
        user=BOX_USER,
    )


def _write_initrd(work: Path, spec: MachineSpec, seed: Seed, box: Box) -> None:
    assert box.initrd is not None
    files = initrd.seed_files(seed, hostname=spec.name) | {
        "usr/lib/lab/dhcp.py": (0o755, (resources.root() / DHCP).read_bytes()),
        "etc/systemd/system/lab-dhcp.service": (0o644, DHCP_UNIT),
        "etc/systemd/system/lab-ssh.service.d/60-dhcp.conf": (0o644, DHCP_WANTED),
    }
    entries = initrd.tree_entries({f"seed/{place}": content for place, content in files.items()})
    store.write_bytes(work / INITRD_FILE, box.initrd.read_bytes() + initrd.archive(entries), mode=0o600)


@dataclass(frozen=True, slots=True, kw_only=True)
class VagrantSettings:
    """The part of JSON_FILE that lab reads again; Vagrant reads all of it."""

    vm: dict[str, Any] = field(default_factory=dict)
    libvirt: dict[str, Any] = field(default_factory=dict)
    serials: tuple[str, ...] = ()
    ports: dict[str, str] = field(default_factory=dict)
    lab: dict[str, str] = field(default_factory=dict)


def read(work: Path) -> dict[str, Any]:
    """The document of `write`; {} when it is missing or unreadable."""
    path = work / JSON_FILE
    source = Source(path=path, name=str(path), fix="")
    try:
        documents.read(source, VagrantSettings)
        return documents.read(source, dict[str, Any])
    except Unreadable:
        return {}


def _chosen(work: Path) -> str:
    return str(read(work).get("lab", {}).get("subnet", ""))
