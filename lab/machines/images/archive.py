"""A golden image as one file for another host: a plain tar with the seal first and a compressed disk."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any, Final

from lab.machines.images import image
from lab.machines.images import seal as image_seal
from lab.machines.vm import qcow2
from lab.model.errors import PreconditionError, ProvisioningError, SecurityStop, UsageError
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH, Arch
from lab.system import digests, proc, store
from lab.system.wait import Deadline

PACKED_DISK: Final = "disk.qcow2"
MEMBERS: Final = (image_seal.SEAL_FILE, image.KERNEL, image.INITRD, PACKED_DISK)
EXPORT_S: Final = 1800.0
LARGEST: Final = {
    image_seal.SEAL_FILE: 4 << 20,
    image.KERNEL: 512 << 20,
    image.INITRD: 256 << 20,
    PACKED_DISK: 64 << 30,
}
FIX: Final = "use an archive that `lab cache export` wrote"


def export(lab: Lab, ident: str, target: Path) -> str:
    """Write image `ident` of the cache to `target`; returns its "sha256:HEX", to be given as machine.digest.

    Raises UsageError (no such image, the file exists), SecurityStop (the image was changed), ProvisioningError.
    """
    found = image.at(lab, ident) if ident and "/" not in ident and not ident.startswith(".") else None
    if found is None:
        raise UsageError(f"there is no image {ident!r} in the cache", fix="lab cache ls")
    if target.exists():
        raise UsageError(f"{target} already exists", fix="choose another file, or remove it")
    deadline = Deadline.after(EXPORT_S, lab.cancel)
    packed, part = target.with_name(f"{target.name}.disk"), target.with_name(f"{target.name}.part")
    try:
        with lab.bus.step("export", f"pack image {ident}"):
            argv = [proc.require_tool("qemu-img"), "convert", "-c", "-m", "2", "-f", "raw", "-O", "qcow2"]
            argv += [str(found.disk), str(packed)]
            proc.check(argv, deadline=deadline, error=ProvisioningError, fix="choose a folder with more free space")
            with tarfile.open(part, "w", format=tarfile.GNU_FORMAT) as tar:
                for name in MEMBERS:
                    tar.add(packed if name == PACKED_DISK else found.directory / name, name, filter=plain)
            digest = f"sha256:{digests.of_file(part, synced=True)}"
        part.replace(target)
    finally:
        packed.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    store.sync_dir(target.absolute().parent)
    return digest


def unpack(path: Path, work: Path, arch: Arch, deadline: Deadline) -> None:
    """Unpack an archive into `work` as a sealed image; every name, size and disk is checked before it is used.

    The files must have the digests in the seal. Raises SecurityStop, PreconditionError.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            names: list[str] = []
            for member in tar:
                _judge(member, names)
                names.append(member.name)
                content = tar.extractfile(member)
                assert content is not None
                with (work / member.name).open("wb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
    except (tarfile.TarError, EOFError) as error:
        raise PreconditionError(f"{path} is not a golden image: {error}", fix=FIX) from error
    if sorted(names) != sorted(MEMBERS):
        raise PreconditionError(f"{path} is not a golden image: it holds {', '.join(names) or 'nothing'}", fix=FIX)
    _need_seal(work, path, arch)
    packed = work / PACKED_DISK
    with packed.open("rb") as file:
        header = file.read(qcow2.HEADER_BYTES)
    if not header.startswith(qcow2.QCOW2):
        raise SecurityStop(f"the disk in {path} is not qcow2; it was not used", fix=FIX)
    qcow2.need_whole(f"the disk in {path}", header)
    argv = [proc.require_tool("qemu-img"), "convert", "-f", "qcow2", "-O", "raw", str(packed), str(work / image.DISK)]
    proc.check(argv, deadline=deadline, error=PreconditionError, fix=FIX)
    packed.unlink()
    image_seal.check(work, deep=True)


def _judge(member: tarfile.TarInfo, seen: list[str]) -> None:
    if not member.isreg() or member.name not in MEMBERS or member.name in seen:
        message = f"the archive holds {member.name!r}, which is not part of a golden image; it was not used"
        raise SecurityStop(message, fix=FIX)
    if member.size > LARGEST[member.name]:
        raise SecurityStop(
            f"{member.name} in the archive is too large: {member.size:,} bytes; it was not used", fix=FIX
        )


def _need_seal(work: Path, path: Path, arch: Arch) -> None:
    sealed: dict[str, Any] | None = image_seal.read_seal(work)
    digests = sealed.get("digests") if sealed is not None else None
    if sealed is None or not isinstance(digests, dict) or sorted(digests) != sorted(image.FILES):
        raise SecurityStop(f"{path} has no valid seal of a golden image; it was not used", fix=FIX)
    made_for = sealed.get("arch", HOST_ARCH)
    if made_for != arch:
        raise PreconditionError(f"{path} is for {made_for}, this machine is {arch}", fix=f"--arch {made_for}")


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """An archive's member without this host's owner and mode."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member
