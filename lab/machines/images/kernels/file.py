"""Reads a custom kernel without starting it: its format, its release, its built-in drivers.

Layouts: Linux Documentation/arch/x86/boot.rst (bzImage), arch/arm64/booting.rst (Image).
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lab.machines.images.kernels import unpack
from lab.model.errors import ConfigError, LabError, PreconditionError
from lab.model.machine import Arch
from lab.system.elf import reading

Form = Literal["bzImage", "vmlinux", "Image"]
SMALLEST: Final = 0x268  # the size of a header; no kernel is that small
LARGEST: Final = 1 << 30  # a vmlinux with debug information is smaller
XLOADFLAGS: Final = 0x236  # u16 of a bzImage: bit 0 marks a 64-bit kernel
ELF_ARCHS: Final[dict[str, Arch]] = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}
PVH_NOTE: Final = ("Xen", 18)  # name and type of the note that says where a PVH start enters
RELEASE: Final = re.compile(rb"Linux version ([!-~]{3,64}) ")
GZIP: Final = b"\x1f\x8b"
FIX: Final = "set --kernel to a vmlinux or bzImage (arm64: Image) file"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFile:
    """`start`: the bytes that QEMU starts; `plain`: the kernel uncompressed, to look into."""

    form: Form
    arch: Arch
    release: str  # what `uname -r` will say
    start: bytes
    plain: bytes
    starts: bool = True  # by QEMU's -kernel

    @property
    def btf(self) -> bool | None:
        """Whether it has BTF; None when the file does not show that."""
        return None if self.form == "Image" else b"\0.BTF\0" in self.plain[-(1 << 20) :]

    def names(self, driver: str) -> bool:
        """Whether the name of `driver` is in it as a whole string, which is so for a built-in one."""
        return any(b"\0%s\0" % name in self.plain for name in (driver.encode(), driver.replace("_", "-").encode()))


def read(path: Path, arch: Arch) -> KernelFile:
    """The kernel in `path`. Raises ConfigError (no such file, not a kernel), PreconditionError (another processor)."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe may never end
            raise ConfigError(f"cannot read the kernel {path}: it is not a file", fix=FIX)
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"cannot read the kernel {path}: {error.strerror or error}", fix=FIX) from error
    try:
        found = _read(data)
    except (ValueError, zlib.error, LabError, struct.error) as error:
        why = error.message if isinstance(error, LabError) else error
        raise ConfigError(f"{path} is not a Linux kernel: {why}", fix=FIX) from error
    if found.arch != arch:
        message = f"{path} is a kernel for {found.arch}, the machine is {arch}"
        raise PreconditionError(message, fix=f"--arch {found.arch}, or a kernel for {arch}")
    if not found.starts:
        message = f"QEMU cannot start {path}: it was built without CONFIG_PVH"
        raise PreconditionError(message, fix="use the bzImage of the same build (arch/x86/boot/bzImage)")
    return found


def _read(data: bytes) -> KernelFile:
    if data.startswith(GZIP):  # how arm64 kernels are often packed
        data = zlib.decompressobj(wbits=31).decompress(data, LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it has more than {LARGEST:,} bytes")
    if len(data) < SMALLEST:
        raise ValueError(f"it has only {len(data)} bytes")
    if data.startswith(unpack.ELF_MAGIC):
        return _elf(data)
    if data[unpack.HEADER_MAGIC : unpack.HEADER_MAGIC + 4] == b"HdrS":
        return _bzimage(data)
    if data[unpack.ARM64_AT : unpack.ARM64_AT + 4] == unpack.ARM64_MAGIC:
        return KernelFile(form="Image", arch="aarch64", release=release(data), start=data, plain=data)
    raise ValueError("it is neither a vmlinux nor a bzImage nor an arm64 Image")


def _elf(data: bytes) -> KernelFile:
    machine, pvh = _look(data)
    if machine not in ELF_ARCHS:
        raise ValueError(f"it is an ELF file for another architecture ({machine})")
    arch, says = ELF_ARCHS[machine], release(data)
    return KernelFile(form="vmlinux", arch=arch, release=says, start=data, plain=data, starts=pvh or arch != "x86_64")


def _bzimage(data: bytes) -> KernelFile:
    if not struct.unpack_from("<H", data, XLOADFLAGS)[0] & 1:
        raise ValueError("it is a 32-bit x86 kernel")
    plain = unpack.unpack(unpack.payload(data))
    # with a PVH entry QEMU skips firmware and decompressor; without one it starts the file as it is
    start = plain if _look(plain)[1] else data
    return KernelFile(form="bzImage", arch="x86_64", release=release(plain), start=start, plain=plain)


def release(plain: bytes) -> str:
    """The `uname -r` of an uncompressed kernel. Raises ValueError when it is not Linux."""
    found = RELEASE.search(plain)
    if found is None:
        raise ValueError("it does not contain the text 'Linux version'")
    return found[1].decode()


def _look(elf: bytes) -> tuple[str, bool]:
    """(e_machine of a 64-bit file, whether the kernel has a PVH entry for QEMU's -kernel). Raises ValueError."""
    from elftools.elf.segments import NoteSegment

    with reading(io.BytesIO(elf)) as file:
        segments = [segment for segment in file.iter_segments() if isinstance(segment, NoteSegment)]
        notes = {(note.n_name, note.n_type) for segment in segments for note in segment.iter_notes()}
        return file.header.e_machine if file.elfclass == 64 else f"{file.elfclass} bit", PVH_NOTE in notes
