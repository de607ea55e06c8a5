"""This very Linux as the machine: for figures without emulation, where its kernel allows them. Only by explicit choice.

What it may change, all of it undone by `delete`: mounting bpffs, tracefs and securityfs where they are not mounted. No
sysctl, no package, no playbook, no reboot. The guest half keeps to a cgroup and files of its own and journals its part.
One machine of this kind per host, whoever asks.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.machines.providers import local_check
from lab.model.errors import Locked, PreconditionError, ProvisioningError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Features, Finding, Handle, LocalEndpoint, MachineSpec, Observed, Seed
from lab.system import locks, proc, store
from lab.system.wait import Deadline

FEATURES: Final = Features(isolated=False, ephemeral=True)
RUN_ON: Final = "Debian 12 as root, kernel lockdown [integrity]"
OWNER_FILE: Final = Path("/run/lab-local.json")  # /run is empty after each boot: so is what we did
LOCK_FILE: Final = Path("/run/lab-local.lock")
OVER_SSH: Final = Path("/var/lib/lab/claim.json")  # of the ssh provider, used from elsewhere
MOUNTINFO: Final = Path("/proc/self/mountinfo")
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
CHANGES_FILE: Final = "changes.jsonl"
# file system type, where it belongs: what eBPF tools and the facts about this kernel are read through
MOUNTS: Final = (("bpf", "/sys/fs/bpf"), ("tracefs", "/sys/kernel/tracing"), ("securityfs", "/sys/kernel/security"))
TOOL_S: Final = 20.0
LOCK_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A line of mountinfo. `source` is free text for these file systems: ours carry the machine's name there."""

    target: str
    kind: str
    source: str


def check(lab: Lab, spec: MachineSpec) -> list[Finding]:
    """What this host lacks, one finding each; changes nothing."""
    del lab, spec
    return local_check.check()


def create(lab: Lab, spec: MachineSpec, seed: Seed, directory: Path) -> Handle:
    """Claim this host. Raises Locked naming the machine that has it, PreconditionError off Linux or without root."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise PreconditionError("the local provider needs Linux and root", fix="use --provider qemu")
    if (claimed := _json(OVER_SSH)) is not None:
        holder = f"{claimed.get('by', '?')} ({claimed.get('name', '?')})"
        raise Locked(
            f"this host is lent to {holder}, over SSH", fix=f"sudo python3 {OVER_SSH.parent}/keep.py give-back"
        )
    mine = {"machine_id": seed.machine_id, "directory": str(directory), "boot_id": _boot_id()}
    with _owner_lock(lab):
        owner = _owner()
        if owner is not None and owner["machine_id"] != seed.machine_id and Path(owner["directory"]).exists():
            there = Path(owner["directory"])
            raise Locked(
                f"this host is already the machine in {there}",
                fix=f"lab down {there.name} --home {there.parent.parent}",
            )
        store.write_json(OWNER_FILE, mine)
    return recover(seed, spec.name, directory)


def recover(seed: Seed, name: str, directory: Path) -> Handle:
    """The claim in /run and the journal of changes are found by these alone."""
    return Handle(provider="local", name=name, machine_id=seed.machine_id, data={"directory": str(directory)})


def start(lab: Lab, handle: Handle) -> LocalEndpoint:
    """Mount what is missing; each mount is journalled before it is made. Idempotent."""
    journal = Path(handle.data["directory"]) / CHANGES_FILE
    for kind, target in MOUNTS:
        if any(mount.target == target for mount in _mounts()) or not Path(target).is_dir():
            continue
        store.append_line(journal, {"mount": target, "kind": kind, "boot_id": _boot_id()}, durable=True)
        argv = [proc.need("mount"), "-t", kind, "-o", "nosuid,nodev,noexec", mark(handle), target]
        result = proc.run(argv, deadline=Deadline.after(TOOL_S, lab.cancel))
        if not result.ok:
            lab.bus.emit(Notice(level="warning", text=f"{target} cannot be mounted: {result.tail().strip()}"))
    return LocalEndpoint()


def inspect(lab: Lab, handle: Handle) -> Observed:
    """Ours while the claim in /run names this machine and this boot."""
    del lab
    owner = _owner()
    if owner is None or owner["machine_id"] != handle.machine_id:
        return Observed(phase="absent", alive=False, reason="this host is not claimed")
    if owner["boot_id"] != _boot_id():
        return Observed(phase="stopped", alive=False, reason="this host was restarted")
    facts: dict[str, Any] = {"endpoint": LocalEndpoint(), "boot_id": _boot_id(), "accel": "none"}
    return Observed(phase="running", alive=True, reason="this host", **facts)


def stop(lab: Lab, handle: Handle) -> None:
    """Take back what `start` changed; what somebody else changed since is left alone, and told."""
    journal = Path(handle.data["directory"]) / CHANGES_FILE
    for target in reversed(ours(store.read_lines(journal), _boot_id())):
        now = [mount for mount in _mounts() if mount.target == target]
        if not now:
            continue
        if now[-1].source != mark(handle):
            lab.bus.emit(Notice(level="warning", text=f"{target} was mounted anew by somebody else; it is left alone"))
            continue
        result = proc.run([proc.need("umount"), target], deadline=Deadline.after(TOOL_S, lab.cancel))
        if not result.ok:
            message = f"{target} is in use and cannot be unmounted"
            raise ProvisioningError(message, fix="end what uses it, then lab down", detail=result.tail())
    journal.unlink(missing_ok=True)


def delete(lab: Lab, handle: Handle) -> None:
    """Undo, then give this host back. Idempotent."""
    stop(lab, handle)
    with _owner_lock(lab):
        owner = _owner()
        if owner is not None and owner["machine_id"] == handle.machine_id:
            OWNER_FILE.unlink(missing_ok=True)
        LOCK_FILE.unlink(missing_ok=True)


def ours(changes: list[dict[str, Any]], boot_id: str) -> list[str]:
    """Where we made a mount, or were about to, in this boot; in the order it was done."""
    return [str(change["mount"]) for change in changes if change.get("boot_id") == boot_id and "mount" in change]


def mark(handle: Handle) -> str:
    """What our mounts are called; the kernel's own number of a mount is used again after an umount."""
    return f"lab-{handle.machine_id[:12]}"


def parse_mountinfo(text: str) -> list[Mount]:
    """proc(5): "ID PARENT MAJ:MIN ROOT TARGET OPTIONS … - TYPE SOURCE SUPER"; octal escapes in paths are kept."""
    found = []
    for line in text.splitlines():
        head, dash, tail = line.partition(" - ")
        fields = head.split()
        if dash and len(fields) >= 5 and len(tail.split()) >= 2:
            found.append(Mount(target=fields[4], kind=tail.split()[0], source=tail.split()[1]))
    return found


def _mounts() -> list[Mount]:
    return parse_mountinfo(MOUNTINFO.read_text(encoding="utf-8"))


def _boot_id() -> str:
    return BOOT_ID.read_text(encoding="utf-8").strip()


def _owner() -> dict[str, str] | None:
    doc = _json(OWNER_FILE)
    return doc if doc is not None and {"machine_id", "directory", "boot_id"} <= doc.keys() else None


def _json(path: Path) -> dict[str, str] | None:
    try:
        doc = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return doc if isinstance(doc, dict) else None


def _owner_lock(lab: Lab) -> Any:
    deadline = Deadline.after(LOCK_S, lab.cancel)
    return locks.hold(LOCK_FILE, what="this host", deadline=deadline)
