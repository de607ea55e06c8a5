"""This very Linux as the machine: for figures without emulation, where its kernel allows them. Only by explicit choice.

What it may change, all of it undone by `delete` once nothing of a run is left: mounting bpffs, tracefs and
securityfs where they are not mounted. No sysctl, no package, no playbook, no reboot. The guest half keeps to a cgroup
and files of its own and journals its part.
One machine of this kind per host, whoever asks.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from lab.guest.wire import WireError, decode, load
from lab.machines.providers import local_check
from lab.machines.providers.base import Place
from lab.model.errors import Locked, PreconditionError, ProvisioningError, Unreadable
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Features, Finding, Handle, LocalEndpoint, MachineSpec, Observed, Seed
from lab.system import documents, locks, proc, resources, store
from lab.system.documents import Source
from lab.system.wait import Deadline

FEATURES: Final = Features(isolated=False, ephemeral=True)
RUN_ON: Final = "Debian 12 as root, kernel lockdown [integrity]"
DATA: Final[type] = Place
OWNER_FILE: Final = Path("/run/lab-local.json")  # /run is empty after each boot: so is what we did
LOCK_FILE: Final = Path("/run/lab-local.lock")
OVER_SSH: Final = Path("/var/lib/lab/claim.json")  # of the ssh provider, used from elsewhere
MOUNTINFO: Final = Path("/proc/self/mountinfo")
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
UPTIME: Final = Path("/proc/uptime")
CHANGES_FILE: Final = "changes.jsonl"
GUEST: Final = "guest"  # the guest half's folder, below the machine's
GUEST_MOUNTS: Final = "mounts.json"
ENDING: Final = "guest/ending.py"
END_S: Final = 150.0  # a run stops at its next safe point; see the times in ending.py
# file system type, where it belongs: what eBPF tools and the facts about this kernel are read through
MOUNTS: Final = (("bpf", "/sys/fs/bpf"), ("tracefs", "/sys/kernel/tracing"), ("securityfs", "/sys/kernel/security"))
TOOL_S: Final = 20.0
LOCK_S: Final = 5.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Which machine has this host, since which boot."""

    machine_id: str
    directory: str
    boot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of CHANGES_FILE: a mount that was made, or about to be."""

    mount: str
    boot_id: str


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
    if (claimed := _claim(OVER_SSH, dict[str, Any])) is not None:
        holder = f"{claimed.get('by', '?')} ({claimed.get('name', '?')})"
        raise Locked(
            f"this host is lent to {holder}, over SSH", fix=f"sudo python3 {OVER_SSH.parent}/keep.py give-back"
        )
    mine = {"machine_id": seed.machine_id, "directory": str(directory), "boot_id": _boot_id()}
    with _owner_lock(lab):
        owner = _claim(OWNER_FILE, Claim)
        if owner is not None and owner.machine_id != seed.machine_id:
            there = Path(owner.directory)
            if there.exists() and there != directory:
                raise Locked(
                    f"this host is already the machine in {there}",
                    fix=f"lab down {there.name} --home {there.parent.parent}",
                )
            stop(lab, _handle(owner.machine_id, there))  # its folder was removed by hand; what it began goes on
        store.write_json(OWNER_FILE, mine)
    return recover(seed, spec.name, directory)


def recover(seed: Seed, name: str, directory: Path) -> Handle:
    """The claim in /run and the journal of changes are found by these alone."""
    del name
    return _handle(seed.machine_id, directory)


def lost(machines: Path) -> list[Handle]:
    """The machine that has the claim, when its folder is one of these."""
    owner = _owner()
    there = Path(owner.directory) if owner is not None else None
    return [] if owner is None or there is None or there.parent != machines else [_handle(owner.machine_id, there)]


def _handle(machine_id: str, directory: Path) -> Handle:
    return Handle(provider="local", name=directory.name, machine_id=machine_id, data={"directory": str(directory)})


def start(lab: Lab, handle: Handle) -> LocalEndpoint:
    """Mount what is missing; each mount is journalled before it is made. Idempotent."""
    journal = Path(handle.data["directory"]) / CHANGES_FILE
    for kind, target in MOUNTS:
        if any(mount.target == target for mount in _mounts()) or not Path(target).is_dir():
            continue
        store.append_line(journal, {"mount": target, "kind": kind, "boot_id": _boot_id()}, durable=True)
        argv = [proc.need("mount"), "-t", kind, "-o", "nosuid,nodev,noexec", mark(handle), target]
        result = proc.run(proc.bound(argv), deadline=Deadline.after(TOOL_S, lab.cancel))
        if not result.ok:
            lab.bus.emit(Notice(level="warning", text=f"{target} cannot be mounted: {result.tail().strip()}"))
    return LocalEndpoint()


def inspect(lab: Lab, handle: Handle) -> Observed:
    """Ours while the claim in /run names this machine and this boot."""
    del lab
    owner = _owner()
    if owner is None or owner.machine_id != handle.machine_id:
        return Observed(phase="absent", alive=False, reason="this host is not claimed")
    if owner.boot_id != _boot_id():
        return Observed(phase="stopped", alive=False, reason="this host was restarted")
    facts: dict[str, Any] = {"endpoint": LocalEndpoint(), "boot_id": _boot_id(), "accel": "none"}
    return Observed(phase="running", alive=True, reason="this host", **facts)


def stop(lab: Lab, handle: Handle) -> None:
    """End what runs of this machine, then undo our mounts; what somebody else changed since is left alone, and told.

    Raises ProvisioningError naming what could not be ended: the claim is then kept.
    """
    directory = Path(handle.data["directory"])
    _end_runs(lab, handle, directory / GUEST / "runs")
    journal = directory / CHANGES_FILE
    for mount in reversed(_mounts()):
        if mount.source == mark(handle):
            _unmount(lab, mount.target)
    now = {mount.target for mount in _mounts()}
    for target in _journalled(journal):
        if target in now:
            text = f"{target} was mounted by somebody else since; it is left alone"
            lab.bus.emit(Notice(level="warning", text=text))
    rows = _rows(directory / GUEST / GUEST_MOUNTS)
    for kind, target in reversed(rows):
        if any((mount.target, mount.kind, mount.source) == (target, kind, kind) for mount in _mounts()):
            _unmount(lab, target)
    journal.unlink(missing_ok=True)


def _end_runs(lab: Lab, handle: Handle, runs: Path) -> None:
    argv = [sys.executable, "-I", str(resources.PACKAGE / ENDING), str(runs)]
    done = proc.run(argv, deadline=Deadline.after(END_S, lab.cancel))
    try:
        left = load(dict[str, Any], done.stdout)["left"]
    except (WireError, KeyError):
        message = f"whether anything of machine {handle.name} still runs cannot be told"
        raise ProvisioningError(message, fix=f"lab down {handle.name} again", detail=done.tail()) from None
    if left:
        message = f"machine {handle.name} is not down, this host stays claimed: {left[0]}"
        fix = f"end what is named, then lab down {handle.name} again"
        raise ProvisioningError(message, fix=fix, detail="\n".join(map(str, left)))


def _unmount(lab: Lab, target: str) -> None:
    result = proc.run([proc.need("umount"), target], deadline=Deadline.after(TOOL_S, lab.cancel))
    if not result.ok:
        message = f"{target} is in use and cannot be unmounted"
        raise ProvisioningError(message, fix="end what uses it, then lab down", detail=result.tail())


def _rows(path: Path) -> list[tuple[str, str]]:
    """Type and place of what the guest half mounted in this boot."""
    try:
        up_s = float(UPTIME.read_text(encoding="utf-8").split()[0])
        if path.stat().st_mtime < time.time() - up_s:
            return []
        rows = documents.read(Source(path=path, name=str(path), fix=""), tuple[tuple[str, ...], ...])
    except (OSError, Unreadable):
        return []
    return [(row[0], row[1]) for row in rows if len(row) == 2]


def delete(lab: Lab, handle: Handle) -> None:
    """Undo, then give this host back. Idempotent."""
    stop(lab, handle)
    with _owner_lock(lab):
        owner = _owner()
        if owner is None and OWNER_FILE.is_dir() and not OWNER_FILE.is_symlink():
            OWNER_FILE.rmdir()
        elif owner is None or owner.machine_id == handle.machine_id:  # None: missing, or nobody can read whose it is
            OWNER_FILE.unlink(missing_ok=True)
        LOCK_FILE.unlink(missing_ok=True)


def _journalled(journal: Path) -> list[str]:
    """What the journal says, as far as it can be read: our mounts carry our mark, too."""
    source = Source(path=journal, name=str(journal), fix="")
    try:
        return ours(documents.lines(source, lambda doc: decode(Change, doc))[0], _boot_id())
    except Unreadable:
        return []


def ours(changes: Sequence[Change], boot_id: str) -> list[str]:
    """Where we made a mount, or were about to, in this boot; in the order it was done."""
    return [change.mount for change in changes if change.boot_id == boot_id]


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


def _owner() -> Claim | None:
    return _read(OWNER_FILE, Claim)


def _read(path: Path, hint: type[T]) -> T | None:
    """None where there is nothing, or nothing of that kind."""
    try:
        return documents.read(Source(path=path, name=str(path), fix=""), hint)
    except Unreadable:
        return None


def _claim(path: Path, hint: type[T]) -> T | None:
    """None where there is nothing. Raises Locked: a claim that cannot be read is still somebody's."""
    if not os.path.lexists(path):
        return None
    try:
        return documents.read(Source(path=path, name=str(path), fix=""), hint)
    except Unreadable as error:
        message = f"the claim in {path} cannot be read ({error.why})"
        raise Locked(message, fix=f"lab down of the machine that has this host, or remove {path}") from error


def _owner_lock(lab: Lab) -> Any:
    deadline = Deadline.after(LOCK_S, lab.cancel)
    return locks.hold(LOCK_FILE, what="this host", deadline=deadline)
