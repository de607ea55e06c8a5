"""Kernel file systems that a local machine mounts: journalled before, marked, and unmounted by a later command."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.guest.wire import decode
from lab.model.errors import ProvisioningError, Unreadable
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.system import documents, proc, store
from lab.system.documents import Source
from lab.system.wait import Deadline

MOUNTINFO: Final = Path("/proc/self/mountinfo")
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
UPTIME: Final = Path("/proc/uptime")
CHANGES_FILE: Final = "changes.jsonl"
GUEST_MOUNTS: Final = "guest/mounts.json"  # mounts of the guest half, below the machine's folder
TOOL_S: Final = 20.0
_MARK: Final = re.compile(r"lab-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MountChange:
    """One line of CHANGES_FILE: a mount that was made or was about to be made."""

    mount: str
    boot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A line of mountinfo. `source` is free text for these file systems: lab puts the machine's mark there."""

    target: str
    kind: str
    source: str


def mark(machine_id: str) -> str:
    """The source of our mounts; the kernel reuses mount ids, so those do not identify one."""
    return f"lab-{machine_id[:12]}"


def make(lab: Lab, directory: Path, source: str, wanted: Iterable[tuple[str, str]]) -> None:
    """Mount the missing ones of `wanted`; each mount is journalled before it is made. Idempotent."""
    for kind, target in wanted:
        if any(mount.target == target for mount in mounts()) or not Path(target).is_dir():
            continue
        row = {"mount": target, "kind": kind, "boot_id": boot_id()}
        store.append_line(directory / CHANGES_FILE, row, durable=True)
        argv = [proc.require_tool("mount"), "-t", kind, "-o", "nosuid,nodev,noexec", source, target]
        result = proc.run(proc.die_with_parent(argv), deadline=Deadline.after(TOOL_S, lab.cancel))
        if not result.ok:
            lab.bus.emit(Notice(level="warning", text=f"cannot mount {target}: {result.tail().strip()}"))


def undo(lab: Lab, directory: Path, source: str) -> None:
    """Unmount this machine's mounts; a mount that was replaced since stays, with a warning."""
    journal = directory / CHANGES_FILE
    for mount in reversed(mounts()):
        if mount.source == source:
            _unmount(lab, mount.target)
    now = {mount.target for mount in mounts()}
    for target in _journalled(journal):
        if target in now:
            text = f"{target} was mounted again by another program; it stays mounted"
            lab.bus.emit(Notice(level="warning", text=text))
    for kind, target in reversed(_rows(directory / GUEST_MOUNTS)):
        if any((mount.target, mount.kind, mount.source) == (target, kind, kind) for mount in mounts()):
            _unmount(lab, target)
    journal.unlink(missing_ok=True)


def undo_stale(lab: Lab, source: str, wanted: Iterable[tuple[str, str]]) -> None:
    """Unmount mounts of a machine whose claim and folder were removed by hand. Only while holding the claim."""
    places = {target for _, target in wanted}
    for mount in reversed(mounts()):
        if mount.target in places and mount.source != source and _MARK.fullmatch(mount.source):
            text = f"{mount.target} is still mounted by a removed machine ({mount.source})"
            try:
                _unmount(lab, mount.target)
                lab.bus.emit(Notice(level="info", text=f"{text}; unmounted it"))
            except ProvisioningError as error:
                lab.bus.emit(Notice(level="warning", text=f"{text}: {error.message}"))


def _unmount(lab: Lab, target: str) -> None:
    result = proc.run([proc.require_tool("umount"), target], deadline=Deadline.after(TOOL_S, lab.cancel))
    if not result.ok:
        message, fix = (
            f"cannot unmount {target}: it is in use",
            "end the processes that use it, then run lab down again",
        )
        raise ProvisioningError(message, fix=fix, detail=result.tail())


def _rows(path: Path) -> list[tuple[str, str]]:
    """Type and target of the guest half's mounts in this boot."""
    try:
        up_s = float(UPTIME.read_text(encoding="utf-8").split()[0])
        if path.stat().st_mtime < time.time() - up_s:
            return []
        rows = documents.read(Source(path=path, name=str(path), fix=""), tuple[tuple[str, ...], ...])
    except (OSError, Unreadable):
        return []
    return [(row[0], row[1]) for row in rows if len(row) == 2]


def _journalled(journal: Path) -> list[str]:
    """The journal's mounts in this boot; [] when it is unreadable: our mounts are also marked."""
    source = Source(path=journal, name=str(journal), fix="")
    try:
        return ours(documents.lines(source, lambda doc: decode(MountChange, doc))[0], boot_id())
    except Unreadable:
        return []


def ours(changes: Sequence[MountChange], boot_id: str) -> list[str]:
    """The targets of mounts that were made, or about to be made, in this boot, in order."""
    return [change.mount for change in changes if change.boot_id == boot_id]


def parse_mountinfo(text: str) -> list[Mount]:
    """proc(5): "ID PARENT MAJ:MIN ROOT TARGET OPTIONS … - TYPE SOURCE SUPER"; octal escapes in paths are kept."""
    found = []
    for line in text.splitlines():
        head, dash, tail = line.partition(" - ")
        fields = head.split()
        if dash and len(fields) >= 5 and len(tail.split()) >= 2:
            found.append(Mount(target=fields[4], kind=tail.split()[0], source=tail.split()[1]))
    return found


def mounts() -> list[Mount]:
    return parse_mountinfo(MOUNTINFO.read_text(encoding="utf-8"))


def boot_id() -> str:
    return BOOT_ID.read_text(encoding="utf-8").strip()
