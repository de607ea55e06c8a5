"""The disk of a cloud image: fetched and checked before anything runs it; its root file system, exported after."""

from __future__ import annotations

import json
import struct
import tarfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.machines.vm import qcow2
from lab.model.errors import ConfigError, PreconditionError, ProvisioningError
from lab.model.events import Progress
from lab.model.lab import Lab
from lab.model.machine import Arch
from lab.system import download, proc
from lab.system.wait import Deadline

SECTOR: Final = 512
GIB: Final = 1 << 30
GPT_AT: Final = SECTOR
MBR_ENTRIES: Final = 446
MBR_LINUX: Final = 0x83
LINUX: Final = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
# Discoverable Partitions Specification: the type of a root partition may name its architecture
ROOTS: Final[dict[uuid.UUID, Arch]] = {
    uuid.UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"): "x86_64",
    uuid.UUID("b921b045-1df0-41c3-af44-4c6f280d3fae"): "aarch64",
}
FIX: Final = "set machine.source to a qcow2 or raw disk of a cloud image"
SUPERBLOCK: Final = 1024
EXT_MAGIC: Final = 0xEF53
NEEDS_RECOVERY: Final = 0x4


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Bytes from the start of the disk. `arch`: from the partition's type, None when it names none."""

    offset: int
    size: int
    arch: Arch | None


def source(lab: Lab, where: str, digest: str, deadline: Deadline) -> Path:
    """The image at `where` in the cache, with that digest; fetched once, an interrupted download is resumed.

    Raises ConfigError (no such file), SecurityStop (another digest), and what `download.fetch` raises.
    """
    target = lab.paths.downloads / f"{digest.partition(':')[2][:32]}.img"
    if not where.startswith(("http://", "https://")):
        path = Path(where.removeprefix("file://")).expanduser().absolute()
        if not path.is_file():
            raise ConfigError(f"image {path} does not exist", fix="correct machine.source")
        with lab.bus.step("image.copy", "copy the image"):
            return download.copy(path, target, digest, deadline)
    with lab.bus.step("image.fetch", "fetch the image"):
        if target.exists() and download.matches(target, digest):
            return target
        size = download.length(where, deadline)
        wanted = download.Pinned(url=where, digest=digest, size_bytes=size)

        def tell(have: int, of: int) -> None:
            lab.bus.emit(Progress(name="image.fetch", done=have, total=of, unit="bytes"))

        return download.fetch(wanted, target, deadline=deadline, on_bytes=tell)


def format_of(path: Path) -> str:
    """qcow2, raw or tar (an exported golden image).

    Raises SecurityStop (a backing file), PreconditionError (another format).
    """
    with path.open("rb") as file:
        head = file.read(SECTOR)
    if head.startswith(qcow2.QCOW2):
        qcow2.need_whole(path.name, head[: qcow2.HEADER_BYTES])
        return "qcow2"
    if head[510:512] == b"\x55\xaa":
        return "raw"
    if tarfile.is_tarfile(path):
        return "tar"
    raise PreconditionError(f"{path} is not a disk image", fix=FIX)


def virtual_bytes(path: Path, kind: str, deadline: Deadline) -> int:
    """The size of the disk as a machine sees it."""
    argv = [proc.require_tool("qemu-img"), "info", "--output=json", "-f", kind, str(path)]
    result = proc.check(argv, deadline=deadline, error=PreconditionError, fix=FIX)
    return int(json.loads(result.stdout)["virtual-size"])


def head(path: Path, kind: str, work: Path, deadline: Deadline) -> bytes:
    """The first MiB of the disk as a machine sees it, with the partition table."""
    out = work / "head.raw"
    argv = [proc.require_tool("qemu-img"), "dd", "-f", kind, "-O", "raw", "bs=1M", "count=1", f"if={path}", f"of={out}"]
    proc.check(argv, deadline=deadline, error=PreconditionError, fix=FIX)
    data = out.read_bytes()
    out.unlink()
    return data


def root_partition(data: bytes) -> Partition:
    """The largest Linux partition of a GPT or MBR table. Raises PreconditionError when there is none."""
    found = _gpt(data) if data[GPT_AT : GPT_AT + 8] == b"EFI PART" else _mbr(data)
    if not found:
        raise PreconditionError("the image has no Linux partition", fix=FIX)
    return max(found, key=lambda partition: partition.size)


def _gpt(data: bytes) -> list[Partition]:
    """UEFI specification, 5.3: the header holds the entries' position, number and size."""
    table, count, length = struct.unpack_from("<QII", data, GPT_AT + 72)
    found = []
    for number in range(count):
        at = table * SECTOR + number * length
        if length < 128 or at + 48 > len(data):
            break
        kind = uuid.UUID(bytes_le=data[at : at + 16])
        first, last = struct.unpack_from("<QQ", data, at + 32)
        if (kind == LINUX or kind in ROOTS) and last >= first:
            size = (last - first + 1) * SECTOR
            found.append(Partition(offset=first * SECTOR, size=size, arch=ROOTS.get(kind)))
    return found


def _mbr(data: bytes) -> list[Partition]:
    if len(data) < SECTOR or data[510:512] != b"\x55\xaa":
        return []
    entries = [struct.unpack_from("<B3xB3xII", data, MBR_ENTRIES + 16 * number) for number in range(4)]
    return [
        Partition(offset=first * SECTOR, size=sectors * SECTOR, arch=None)
        for _, kind, first, sectors in entries
        if kind == MBR_LINUX and sectors
    ]


def check(path: Path, kind: str, arch: Arch, disk_gib: int, work: Path, deadline: Deadline) -> None:
    """Raise PreconditionError when the disk does not fit the machine: too large, another architecture, no Linux."""
    size = virtual_bytes(path, kind, deadline)
    if size > disk_gib * GIB:
        message = f"the image has {size / GIB:.1f} GiB, the machine's disk only {disk_gib} GiB"
        raise PreconditionError(message, fix=f"set machine.disk_gib to {-(-size // GIB)}")
    found = root_partition(head(path, kind, work, deadline))
    if found.arch not in (None, arch):
        message = f"the image is for {found.arch}, this machine is {arch}"
        raise PreconditionError(message, fix=f"use the image for {arch}, or --arch {found.arch}")


def export_root(disk: Path, target: Path, work: Path, deadline: Deadline) -> None:
    """Write the root partition of the qcow2 `disk` as a raw file system, which is the machine's whole disk.

    Raises PreconditionError (not ext4), ProvisioningError (the system was not shut down cleanly).
    """
    part = root_partition(head(disk, "qcow2", work, deadline))
    name = str(disk).replace(",", ",,")
    piece = f"driver=raw,offset={part.offset},size={part.size},file.driver=qcow2,file.file.filename={name}"
    argv = [proc.require_tool("qemu-img"), "convert", "--image-opts", "-O", "raw", piece, str(target)]
    proc.check(argv, deadline=deadline, error=ProvisioningError, fix="run the command again")
    need_clean(target)


def need_clean(file_system: Path) -> None:
    """Raise unless it is an ext4 file system with an empty journal."""
    with file_system.open("rb") as file:
        file.seek(SUPERBLOCK)
        block = file.read(SUPERBLOCK)
    if struct.unpack_from("<H", block, 0x38)[0] != EXT_MAGIC:
        raise PreconditionError("the image's root file system is not ext4", fix="use a Debian cloud image")
    if struct.unpack_from("<I", block, 0x60)[0] & NEEDS_RECOVERY:
        raise ProvisioningError("the image was not shut down cleanly", fix="run the command again")
