"""Queries and cleans up libvirt by `virsh`, which takes milliseconds where `vagrant status` takes seconds.

A machine's resources in libvirt: the domain with its UUID, and a storage pool and a network named lab-ID.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.machines.providers.vagrant.cli import INSTALL
from lab.model.errors import LabError, PreconditionError, ProvisioningError
from lab.model.lab import Lab
from lab.system import proc
from lab.system.wait import Deadline

URI: Final = "qemu:///system"
POOLS: Final = "/var/lib/libvirt/images"
KEPT: Final = ("kernel", "initrd")  # volumes that `make_pool` uploads
ASK_S: Final = 4.0
ACT_S: Final = 120.0
GONE: Final = re.compile(r"failed to get domain|Domain not found|no domain with matching", re.IGNORECASE)
DEAF: Final = re.compile(r"failed to connect to the hypervisor|Failed to connect socket", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"\bipv4\s+([0-9.]+)/")
_STATE: Final = re.compile(r"^(running|idle|paused|in shutdown|shut off|crashed|pmsuspended|no state)(?: \((.*)\))?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainStatus:
    """libvirt's state: "running", "paused", "shut off", …, or "absent", "deaf" (libvirt), "hung" (its QEMU)."""

    state: str
    reason: str = ""
    address: str = ""


def ask(lab: Lab, uuid: str) -> DomainStatus:
    """Domain `uuid`, its QEMU and its lease in one call; a QEMU that does not answer its monitor is "hung"."""
    # domblkerror makes libvirt query QEMU: domstate alone is libvirt's stored state
    script = f"domstate --reason {uuid}; domblkerror {uuid}; domifaddr {uuid} --source lease"
    try:
        result = _virsh(lab, script, limit_s=ASK_S)
    except PreconditionError as error:
        return DomainStatus(state="deaf", reason=error.message)
    except LabError:
        return DomainStatus(state="hung", reason="QEMU does not answer")
    return parse(result.text(), result.stderr.decode("utf-8", "replace"))


def parse(text: str, errors: str) -> DomainStatus:
    """The output of the three commands of `ask`."""
    found = next((match for line in text.splitlines() if (match := _STATE.fullmatch(line.strip()))), None)
    if found is None:
        if GONE.search(errors):
            return DomainStatus(state="absent", reason="libvirt has no such domain")
        return DomainStatus(state="deaf", reason=(errors.strip().splitlines() or ["virsh printed nothing"])[-1])
    address = _ADDRESS.search(text)
    return DomainStatus(state=found[1], reason=found[2] or "", address="" if address is None else address[1])


def reachable(lab: Lab) -> str:
    """Why libvirt's system daemon is unreachable; empty when it answers."""
    try:
        result = _virsh(lab, "version --daemon", limit_s=20)
    except LabError as error:
        return error.message
    return "" if result.ok else (result.tail().strip().splitlines() or ["virsh printed nothing"])[-1]


def hypervisor(lab: Lab) -> str:
    """The version of libvirt's QEMU."""
    lines = _virsh(lab, "version").text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Running hypervisor")), "unknown")


def has_kvm(lab: Lab) -> bool:
    """Whether libvirt supports KVM."""
    return _virsh(lab, "domcapabilities --virttype kvm", limit_s=60).ok


def make_pool(lab: Lab, name: str, files: dict[str, Path]) -> None:
    """Create the machine's storage pool, with `files` as volumes. Idempotent; a stopped one is started."""
    info = _virsh(lab, f"pool-info {name}")
    define = f"pool-define-as {name} dir --target {POOLS}/{name}; pool-build {name}; "
    if "running" not in info.text():
        _must(lab, f"{'' if info.ok else define}pool-start {name}")
    for volume, path in files.items():
        _virsh(lab, f"vol-delete --pool {name} {volume}")
        _must(lab, f"vol-create-as {name} {volume} {path.stat().st_size} --format raw")
        _must_argv(lab, ["vol-upload", "--pool", name, volume, str(path)])


def volume_path(pool: str, volume: str) -> str:
    return f"{POOLS}/{pool}/{volume}"


def end(lab: Lab, uuid: str) -> None:
    """Destroy the domain. Idempotent."""
    result = _virsh(lab, f"destroy {uuid}")
    if not result.ok and not re.search(r"not running", result.tail()) and not GONE.search(result.tail()):
        raise ProvisioningError("virsh destroy failed", fix="lab logs", detail=result.tail())


def forget(lab: Lab, uuid: str, name: str) -> None:
    """Remove the machine's domain, network and disk; its pool and KEPT in it stay. Idempotent.

    The copy of the box is removed too: a partial upload of a killed vagrant looks complete.
    """
    end(lab, uuid)
    _virsh(lab, f"undefine {uuid} --managed-save --snapshots-metadata --checkpoints-metadata --nvram")
    for volume in volumes(lab, name):
        if volume not in KEPT:
            _virsh(lab, f"vol-delete --pool {name} {volume}")
    for verb in ("net-destroy", "net-undefine"):
        _virsh(lab, f"{verb} {name}")


def purge(lab: Lab, uuid: str, name: str) -> None:
    """Remove everything of this machine. Idempotent. Raises ProvisioningError naming what could not be removed."""
    forget(lab, uuid, name)
    if _virsh(lab, f"pool-info {name}").ok:
        _virsh(lab, f"pool-start {name}")  # a stopped one lists no volumes
        for volume in volumes(lab, name):
            _virsh(lab, f"vol-delete --pool {name} {volume}")
        for verb in ("pool-destroy", "pool-delete", "pool-undefine"):
            _virsh(lab, f"{verb} {name}")
    if left := leftovers(lab, uuid, name):
        raise ProvisioningError(f"cannot remove {', '.join(left)} from libvirt", fix="run the command again")


def leftovers(lab: Lab, uuid: str, name: str) -> list[str]:
    """The machine's resources that libvirt still has."""
    queries = {
        f"domain {uuid}": f"domuuid {uuid}",
        f"pool {name}": f"pool-info {name}",
        f"network {name}": f"net-info {name}",
    }
    return [what for what, query in queries.items() if _virsh(lab, query).ok]


def volumes(lab: Lab, pool: str) -> list[str]:
    """Names of a pool's volumes."""
    lines = _virsh(lab, f"vol-list {pool}").text().splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def resume(lab: Lab, uuid: str) -> None:
    with contextlib.suppress(ProvisioningError):
        _must(lab, f"resume {uuid}")


def _virsh(lab: Lab, script: str, *, limit_s: float = ACT_S) -> proc.Result:
    result = proc.run(_argv([script]), deadline=Deadline.after(limit_s, lab.cancel))
    if not result.ok and DEAF.search(result.stderr.decode("utf-8", "replace")):
        raise PreconditionError("libvirt does not answer at qemu:///system", fix=INSTALL, detail=result.tail())
    return result


def _must(lab: Lab, script: str) -> None:
    _must_argv(lab, [script])


def _must_argv(lab: Lab, words: Sequence[str]) -> None:
    deadline = Deadline.after(ACT_S, lab.cancel)
    fix = "fix libvirt's error, then run the command again"
    proc.check(_argv(words), deadline=deadline, error=ProvisioningError, fix=fix)


def _argv(words: Sequence[str]) -> list[str]:
    return [proc.require_tool("virsh", fix=INSTALL), "--quiet", "--connect", URI, *words]
