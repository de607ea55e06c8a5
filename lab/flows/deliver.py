"""Copy artifacts into a machine: as a read-only disk where the provider has disks, else file by file; only once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

from lab.machines import disks_in_use, lifecycle
from lab.model.errors import PreconditionError
from lab.model.events import Notice, Progress
from lab.model.lab import Lab
from lab.model.machine import Machine
from lab.remote.base import Transport
from lab.system import digests, ext4, locks, proc, store, tool_paths
from lab.system.wait import Deadline

DISK_LIMIT_S: Final = 300.0
SPARE_KIB: Final = 8192
SERIAL_CHARS: Final = 20  # virtio-blk truncates serials to this length
KEEP_DISKS: Final = 4
PROGRAMS: Final = (b"\x7fELF", b"#!")


def guest_root(lab: Lab, machine: Machine) -> str:
    """Our folder in the machine; on this host itself it is below LAB_HOME."""
    return str(lab.paths.machine(machine.spec.name) / "guest") if machine.is_this_host else "/var/lib/lab"


def deliver(
    lab: Lab, machine: Machine, transport: Transport, root: str, tree: Path, digest: str, deadline: Deadline
) -> tuple[str, tuple[str, ...]]:
    """Make the files of `tree` (its content named by `digest`) readable in the machine.

    Returns the folder there, and the arguments with which `prepare` in the guest mounts it (none for copied files).
    """
    if machine.is_this_host:
        return str(tree), ()
    at = f"{root}/artifacts/{digest[:16]}"
    if not by_disk(machine):
        _put(lab, transport, at, tree, digest, deadline)
        return at, ()
    serial = f"lab{digest[: SERIAL_CHARS - 3]}"
    lifecycle.attach_disk(lab, machine, disk(lab, tree, digest), serial)
    return at, ("--serial", serial, "--at", at)


def by_disk(machine: Machine) -> bool:
    """Whether the machine gets files as a disk: its provider plugs disks, and this host can make them."""
    return lifecycle.features(machine).disks and proc.which(ext4.TOOL) is not None


def disk(lab: Lab, tree: Path, digest: str) -> Path:
    """An ext4 image of `tree`, made once per content without mounting anything; kept in the cache."""
    folder = lab.paths.artifacts / "disks"
    image = folder / f"{digest}.ext4"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locks.hold(folder / f"{digest}.lock", what="artifact disk", deadline=Deadline.after(DISK_LIMIT_S, lab.cancel)):
        if image.is_file():
            if _unchanged(image):
                store.mark_used(image)  # snapshots identify it by its change
                return image
            lab.bus.emit(Notice(level="warning", text=f"artifact disk {image.name} was changed; building it again"))
        size_kib = ext4.needed_kib(tree, SPARE_KIB)
        _need_space(folder, size_kib * 1024)
        part = image.with_suffix(".part")
        part.unlink(missing_ok=True)
        ext4.make_read_only(
            tree,
            part,
            label="lab-artifacts",
            size_kib=size_kib,
            deadline=Deadline.after(DISK_LIMIT_S, lab.cancel),
            fix="lab cache prune, then run the command again",
        )
        part.chmod(0o400)
        part.replace(image)
        _seal(image)
        store.sync_dir(folder)
        _prune(lab, folder)
    return image


def _seal(image: Path) -> None:
    """Written last: the stamp of a complete image. The host hashes it again before each use: faster than the guest."""
    store.write_json(image.with_suffix(".json"), _witness(image))


def _unchanged(image: Path) -> bool:
    try:
        return bool(json.loads(image.with_suffix(".json").read_text(encoding="utf-8")) == _witness(image))
    except (OSError, ValueError):
        return False


def _witness(image: Path) -> dict[str, int | str]:
    stat = image.stat()
    stamp = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "inode": stat.st_ino}
    return {**stamp, "sha256": digests.of_file(image)}


def _need_space(folder: Path, wanted: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise PreconditionError(
            f"{folder} has {free} bytes free, the artifact disk needs {wanted}", fix="lab cache prune"
        )


def _prune(lab: Lab, folder: Path) -> None:
    """Keep the disks used last, and those that a machine or a snapshot needs."""
    disks = sorted(folder.glob("*.ext4"), key=lambda p: p.stat().st_atime, reverse=True)
    needed = disks_in_use.names(lab) if disks[KEEP_DISKS:] else set()
    for old in [disk for disk in disks[KEEP_DISKS:] if disk.name not in needed]:
        old.unlink(missing_ok=True)
        old.with_suffix(".json").unlink(missing_ok=True)


def _put(lab: Lab, transport: Transport, at: str, tree: Path, digest: str, deadline: Deadline) -> None:
    """Copy file by file; a marker written last means that all files are complete."""
    mark = f"{at}/.whole"
    if transport.run(["test", "-f", mark], deadline).ok:
        return
    files = sorted(p for p in tree.rglob("*") if p.is_file())
    total = sum(p.stat().st_size for p in files)
    done = 0
    for path in files:
        mode = 0o755 if _is_program(path) else 0o644
        transport.put(path, f"{at}/{path.relative_to(tree).as_posix()}", deadline, mode=mode)
        done += path.stat().st_size
        lab.bus.emit(Progress(name="artifacts", done=done, total=total, unit="bytes"))
    transport.put_bytes(json.dumps({"digest": digest}).encode(), mark, deadline)


def _is_program(path: Path) -> bool:
    """Windows has no executable bit: decide by the first bytes there."""
    if tool_paths.PLATFORM != "win32":
        return bool(path.stat().st_mode & 0o100)
    with path.open("rb") as file:
        return file.read(max(map(len, PROGRAMS))).startswith(PROGRAMS)
