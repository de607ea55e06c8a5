"""Boxes: packed from the golden image, or given by URL (or path) and digest; never by a registry's name.

A box is a tar with metadata.json and a disk. A given one is checked before Vagrant gets it: its digest, its hypervisor
and architecture, and its disk, which must not have a backing file (it would be read from this host).
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from lab.machines.images import golden
from lab.machines.vm import qcow2
from lab.model.errors import ConfigError, PreconditionError, ProvisioningError, SecurityStop
from lab.model.events import Progress
from lab.model.lab import Lab
from lab.model.machine import Arch, MachineSpec
from lab.system import digests, download, locks, proc, store
from lab.system.wait import Deadline

MAKE_S: Final = 900.0
FETCH_S: Final = 3600.0
GIB: Final = 1 << 30
DISK: Final = "box.img"
METADATA: Final = "metadata.json"
ARCHS: Final[dict[str, Arch]] = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}
WHOLE: Final = "use a box with a self-contained disk (qemu-img convert writes one)"
DIGEST_FIX: Final = "set --digest to the published sha256:HEX or sha512:HEX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A checked box. `image_id`, `kernel` and `initrd` are set only for a box of the golden image."""

    path: Path
    digest: str  # sha256:HEX or sha512:HEX
    image_id: str = ""
    kernel: Path | None = None
    initrd: Path | None = None


def ensure(lab: Lab, spec: MachineSpec, driver: str) -> Box:
    """The box of `spec`, packed or fetched once. Raises ConfigError, PreconditionError, SecurityStop, …"""
    if spec.source:
        return _given(lab, spec, driver)
    if driver != "libvirt":
        message = f"driver {driver} cannot start the golden image: it does not support direct kernel boot"
        raise ConfigError(message, fix="set --source URL and --digest sha256:HEX, or use --driver libvirt")
    return _own(lab, spec)


def _own(lab: Lab, spec: MachineSpec) -> Box:
    image = golden.ensure(lab, spec)
    path = _boxes(lab) / f"{image.id}.box"
    sum_file = path.with_suffix(".sha256")  # written last: a box without it is incomplete
    waiting = Deadline.after(MAKE_S, lab.cancel)
    with locks.hold(path.with_suffix(".lock"), what=f"the box of image {image.id}", deadline=waiting):
        if not (path.exists() and sum_file.exists()):
            with lab.bus.step("box", "pack the image as a Vagrant box"):
                _pack(image.disk, path, waiting)
                store.write_text(sum_file, digests.of_file(path, synced=True))
    store.mark_used(path)
    digest = f"sha256:{sum_file.read_text(encoding='utf-8').strip()}"
    return Box(path=path, digest=digest, image_id=image.id, kernel=image.kernel, initrd=image.initrd)


def _pack(disk: Path, path: Path, deadline: Deadline) -> None:
    """Pack a raw disk as a box. The disk is compressed, since Vagrant copies it twice, and unpacking is cheap."""
    from lab.machines.images import archive

    work = path.with_suffix(".qcow2")
    argv = [proc.require_tool("qemu-img"), "convert", "-c", "-m", "2", "-O", "qcow2", "-o", "compression_type=zstd"]
    proc.check([*argv, str(disk), str(work)], deadline=deadline, error=ProvisioningError, fix="lab cache prune")
    size_gib = -(-disk.stat().st_size // GIB)
    metadata = json.dumps({"provider": "libvirt", "format": "qcow2", "virtual_size": size_gib}).encode()
    part = path.with_suffix(".part")
    with tarfile.open(part, "w") as tar:
        about = tarfile.TarInfo(METADATA)
        about.size = len(metadata)
        tar.addfile(about, io.BytesIO(metadata))
        tar.add(work, DISK, filter=archive.plain)
    work.unlink()
    part.replace(path)
    store.sync_dir(path.parent)


def _given(lab: Lab, spec: MachineSpec, driver: str) -> Box:
    need_digest(spec)
    if spec.source.startswith(("http://", "https://")):
        path = _fetch(lab, spec)
    else:
        path = Path(spec.source.removeprefix("file://")).expanduser().absolute()
        if not path.is_file():
            raise ConfigError(f"box {path} does not exist", fix="correct machine.source")
        if not _matches(lab, path, spec.digest):
            message = f"{path} does not match the digest {spec.digest}; it was not used"
            raise SecurityStop(message, fix="correct machine.digest, or check who changed the box")
    inspect(path, spec.arch, driver)
    return Box(path=path, digest=spec.digest)


def _matches(lab: Lab, path: Path, digest: str) -> bool:
    """Whether it has that digest; an unchanged file that had it is not hashed again.

    Vagrant hashes its copy before it uses it.
    """
    note = _boxes(lab) / f"{digest.partition(':')[2][:32]}.seen"
    now = {"path": str(path), "digest": digest, "seen": store.file_stamp(path)}
    with contextlib.suppress(OSError, ValueError):
        if json.loads(note.read_text(encoding="utf-8")) == now:
            return True
    if not download.matches(path, digest):
        return False
    store.write_json(note, now)
    return True


def need_digest(spec: MachineSpec) -> None:
    """Raise ConfigError unless `spec.digest` is a SHA-256 or SHA-512, which Vagrant can also check."""
    algorithm, _, digits = spec.digest.partition(":")
    length = {"sha256": 64, "sha512": 128}.get(algorithm)
    if length != len(digits) or set(digits) - set("0123456789abcdef"):
        message = f"{spec.digest!r} is not a valid digest" if spec.digest else "a box needs a digest"
        raise ConfigError(message, fix=DIGEST_FIX)


def _fetch(lab: Lab, spec: MachineSpec) -> Path:
    target = _boxes(lab) / f"{spec.digest.partition(':')[2][:32]}.box"
    if target.exists() and _matches(lab, target, spec.digest):
        store.mark_used(target)
        return target
    deadline = Deadline.after(FETCH_S, lab.cancel)
    with lab.bus.step("box", "fetch the Vagrant box"):
        size = download.length(spec.source, deadline)
        wanted = download.Pinned(url=spec.source, digest=spec.digest, size_bytes=size)

        def tell(have: int, of: int) -> None:
            lab.bus.emit(Progress(name="box", done=have, total=of, unit="bytes"))

        return download.fetch(wanted, target, deadline=deadline, on_bytes=tell)


def inspect(path: Path, arch: Arch, driver: str) -> None:
    """Check a box. Raises PreconditionError (another driver or architecture, not a box), SecurityStop (it refers to
    files of this host)."""
    with _opened(path) as tar:
        metadata: dict[str, Any] | None = None
        for member in tar:
            _judge_member(member, path)
            content = tar.extractfile(member) if member.isfile() else None
            if content is None:
                continue
            name = member.name.removeprefix("./")
            if name == METADATA:
                metadata = _metadata(content, path)
                _judge(metadata, path, arch, driver)
            else:
                qcow2.need_whole(f"{name} in {path}", content.read(qcow2.HEADER_BYTES))
    if metadata is None:
        raise PreconditionError(f"{path} is not a Vagrant box: it has no {METADATA}", fix="correct machine.source")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path) as tar:
            yield tar
    except (tarfile.TarError, EOFError, OSError) as error:
        raise PreconditionError(f"{path} is not a Vagrant box: {error}", fix="correct machine.source") from error


def _metadata(content: IO[bytes], path: Path) -> dict[str, Any]:
    try:
        found = json.loads(content.read(1 << 20))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise PreconditionError(f"cannot read {METADATA} of {path}", fix="correct machine.source")
    return found


def _judge(metadata: dict[str, Any], path: Path, arch: Arch, driver: str) -> None:
    provider, named = str(metadata.get("provider")), str(metadata.get("architecture") or "")
    if provider != driver:
        message = f"{path} is a box for {provider}, not {driver}"
        raise PreconditionError(message, fix=f"use --driver {provider}, or the box for {driver}")
    if named and ARCHS.get(named.lower()) != arch:
        raise PreconditionError(f"{path} is a box for {named}, this machine is {arch}", fix=f"use the box for {arch}")
    disks = metadata.get("disks")
    for disk in disks if isinstance(disks, list) else []:  # vagrant-libvirt takes an absolute path as it is
        inside = PurePosixPath(str(disk.get("path", "")) if isinstance(disk, dict) else "")
        if inside.is_absolute() or ".." in inside.parts:
            message = f"{METADATA} of {path} refers to the disk {inside} on this host; the box was not used"
            raise SecurityStop(message, fix=WHOLE)


def _judge_member(member: tarfile.TarInfo, path: Path) -> None:
    """Only files and folders below the box itself: through a link Vagrant would read files of this host."""
    inside = PurePosixPath(member.name)
    if not (member.isfile() or member.isdir()) or inside.is_absolute() or ".." in inside.parts:
        message = f"{member.name} in {path} points outside the box, to a file of this host; the box was not used"
        raise SecurityStop(message, fix=WHOLE)


def _boxes(lab: Lab) -> Path:
    lab.paths.boxes.mkdir(parents=True, exist_ok=True, mode=0o700)
    return lab.paths.boxes
