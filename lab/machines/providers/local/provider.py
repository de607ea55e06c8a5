"""This host (Linux) as the machine: for measurements without emulation. Only by explicit choice.

It only mounts bpffs, tracefs and securityfs where they are not mounted; `delete` unmounts them once no run is left.
No sysctl, no package, no playbook, no reboot. The guest half uses its own cgroup and files and journals its changes.
One local machine per host, for all users.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from lab.guest.wire import WireError, load
from lab.machines.guest_answers import Left
from lab.machines.providers.local import check as local_check
from lab.machines.providers.local import mounts as local_mounts
from lab.model.errors import Locked, PreconditionError, ProvisioningError, Unreadable
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Features, Finding, Handle, LocalEndpoint, MachineSpec, Observed, Seed
from lab.system import documents, locks, proc, resources, store
from lab.system.documents import Source
from lab.system.wait import Deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalHandle(Handle):
    """`claimed`: the boot id in which this host was claimed."""

    claimed: str = ""


FEATURES: Final = Features(isolated=False)
TESTED_WITH: Final = "Debian 12 as root, kernel lockdown [integrity]"
HANDLE: Final = LocalHandle
OWNER_FILE: Final = Path("/run/lab-local.json")  # /run is empty after each boot, as are our changes
LOCK_FILE: Final = Path("/run/lab-local.lock")
OVER_SSH: Final = Path("/var/lib/lab/claim.json")  # of the ssh provider of another host
RUNS: Final = "guest/runs"  # the guest half's, below the machine's folder
ENDING: Final = "guest/linux/ending.py"
END_S: Final = 150.0  # a run stops at its next safe point; see the limits in ending.py
# file system type, target: eBPF tools and the kernel's facts are read through these
MOUNTS: Final = (("bpf", "/sys/fs/bpf"), ("tracefs", "/sys/kernel/tracing"), ("securityfs", "/sys/kernel/security"))
LOOK_S: Final = 20.0
LOCK_S: Final = 5.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The machine that has claimed this host, and the boot id of the claim."""

    machine_id: str
    directory: str
    boot_id: str


def check(lab: Lab, spec: MachineSpec) -> list[Finding]:
    """What this host lacks, one finding for each; changes nothing."""
    del lab, spec
    return local_check.check()


def create(lab: Lab, spec: MachineSpec, seed: Seed, directory: Path) -> LocalHandle:
    """Claim this host. Raises Locked naming the machine that has it, PreconditionError without Linux or root."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise PreconditionError("the local provider needs Linux and root", fix="use --provider qemu")
    if (claimed := _claim(OVER_SSH, dict[str, Any])) is not None:
        holder = f"{claimed.get('by', '?')} ({claimed.get('name', '?')})"
        raise Locked(
            f"this host is claimed over SSH by {holder}", fix=f"sudo python3 {OVER_SSH.parent}/guest_claim.py restore"
        )
    mine = Claim(machine_id=seed.machine_id, directory=str(directory), boot_id=local_mounts.boot_id())
    with _owner_lock(lab):
        owner = _claim(OWNER_FILE, Claim)
        if owner is not None and owner.machine_id != seed.machine_id:
            _take_over(lab, owner, directory)
        store.write_json(OWNER_FILE, asdict(mine))
        local_mounts.undo_stale(lab, local_mounts.mark(seed.machine_id), MOUNTS)
    handle = recover(seed, spec.name, directory)
    return replace(handle, claimed=mine.boot_id)


def _take_over(lab: Lab, owner: Claim, directory: Path) -> None:
    """Clear a stale claim, whose machine no longer exists. Raises Locked when it is not stale."""
    folder = Path(owner.directory)
    handle = _handle(owner.machine_id, folder)
    if folder != directory:
        fix = f"lab down {shlex.quote(folder.name)} --home {shlex.quote(str(folder.parent.parent))}"
        if os.path.lexists(folder):
            raise Locked(f"this host is already the machine in {folder}", fix=fix)
        if running := _still_running(lab, handle, "look"):
            raise Locked(
                f"this host is the machine in {folder}; that folder was removed, but {running[0]} still runs", fix=fix
            )
        text = f"ignoring the stale claim of this host by the machine in {folder}: it has no folder and no processes"
        lab.bus.emit(Notice(level="info", text=text))
    stop(lab, handle)  # the folder was emptied by hand: its processes may still run


def recover(seed: Seed, name: str, directory: Path) -> LocalHandle:
    """The claim in /run and the journal of changes are found by the id and the folder alone."""
    del name
    return _handle(seed.machine_id, directory)


def lost(machines: Path) -> list[LocalHandle]:
    """The machine that has the claim, when its folder is one of these."""
    owner = _owner()
    folder = Path(owner.directory) if owner is not None else None
    return [] if owner is None or folder is None or folder.parent != machines else [_handle(owner.machine_id, folder)]


def _handle(machine_id: str, directory: Path) -> LocalHandle:
    return LocalHandle(provider="local", name=directory.name, machine_id=machine_id, directory=str(directory))


def start(lab: Lab, handle: LocalHandle) -> LocalEndpoint:
    """Mount what is missing. Idempotent."""
    directory = Path(handle.directory)
    local_mounts.make(lab, directory, local_mounts.mark(handle.machine_id), MOUNTS)
    return LocalEndpoint()


def inspect(lab: Lab, handle: LocalHandle) -> Observed:
    """Running while the claim in /run names this machine and this boot."""
    del lab
    owner = _owner()
    if owner is None or not _has(owner, handle):
        return Observed(phase="absent", alive=False, reason="this host is not claimed")
    if owner.boot_id != local_mounts.boot_id():
        return Observed(phase="stopped", alive=False, reason="this host was restarted")
    facts: dict[str, Any] = {"endpoint": LocalEndpoint(), "boot_id": local_mounts.boot_id(), "accel": "none"}
    return Observed(phase="running", alive=True, reason="this host", **facts)


def stop(lab: Lab, handle: LocalHandle) -> None:
    """End this machine's processes, then unmount our mounts; mounts that were replaced since stay, with a warning.

    Raises ProvisioningError naming what could not be ended: the claim is then kept.
    """
    if left := _still_running(lab, handle):
        message = f"machine {handle.name} is not down, this host stays claimed: {left[0]}"
        fix = f"end that process, then run lab down {handle.name} again"
        raise ProvisioningError(message, fix=fix, detail="\n".join(left))
    local_mounts.undo(lab, Path(handle.directory), local_mounts.mark(handle.machine_id))


def _still_running(lab: Lab, handle: LocalHandle, *look: str) -> list[str]:
    """What still runs of this machine, after an attempt to end it, or without one ("look")."""
    runs = Path(handle.directory) / RUNS
    argv = [sys.executable, "-I", str(resources.PACKAGE / ENDING), str(runs), *look]
    done = proc.run(argv, deadline=Deadline.after(LOOK_S if look else END_S, lab.cancel))
    try:
        return list(load(Left, done.stdout).left)
    except WireError:
        message = f"cannot find out whether machine {handle.name} still has processes"
        raise ProvisioningError(message, fix=f"run lab down {handle.name} again", detail=done.tail()) from None


def delete(lab: Lab, handle: LocalHandle) -> None:
    """Stop it, then release the claim of this host if it is provably this machine's. Idempotent."""
    if not _has(_owner(), handle) and (sys.platform != "linux" or os.geteuid() != 0):
        return  # this user cannot have created such a machine
    stop(lab, handle)
    with _owner_lock(lab):
        owner = _owner()
        torn = owner is None and os.path.lexists(OWNER_FILE)
        ours = handle.claimed == local_mounts.boot_id() if torn else _has(owner, handle)
        if torn and not ours:
            text = f"cannot read the claim of this host in {OWNER_FILE}: it may be another machine's and stays"
            lab.bus.emit(
                Notice(level="warning", text=f"{text}; if no other lab uses this host: sudo rm -r {OWNER_FILE}")
            )
        elif ours and OWNER_FILE.is_dir() and not OWNER_FILE.is_symlink():
            shutil.rmtree(OWNER_FILE)
        elif ours:
            OWNER_FILE.unlink()
        LOCK_FILE.unlink(missing_ok=True)


def _has(owner: Claim | None, handle: LocalHandle) -> bool:
    return owner is not None and owner.machine_id == handle.machine_id


def _owner() -> Claim | None:
    return _read(OWNER_FILE, Claim)


def _read(path: Path, hint: type[T]) -> T | None:
    """The document, or None when it is missing or unreadable."""
    try:
        return documents.read(Source(path=path, name=str(path), fix=""), hint)
    except Unreadable:
        return None


def _claim(path: Path, hint: type[T]) -> T | None:
    """None when there is no claim. Raises Locked: an unreadable claim still counts."""
    if not os.path.lexists(path):
        return None
    try:
        return documents.read(Source(path=path, name=str(path), fix=""), hint)
    except Unreadable as error:
        message = f"cannot read the claim in {path} ({error.why}): this host may be in use"
        raise Locked(message, fix=f"if no other lab uses this host: sudo rm -r {path}") from error


def _owner_lock(lab: Lab) -> Any:
    deadline = Deadline.after(LOCK_S, lab.cancel)
    return locks.hold(LOCK_FILE, what="this host", deadline=deadline)
