"""The kernel that QEMU starts directly: the ELF vmlinux inside a distribution's bzImage.

Through the PVH entry of the ELF file QEMU skips the firmware, the boot loader and the kernel's own decompressor:
seconds each under emulation. Layout: Linux Documentation/x86/boot.rst.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lab.model.errors import PreconditionError, ProvisioningError
from lab.model.machine import Arch
from lab.system import proc
from lab.system.wait import Deadline

SETUP_SECTS: Final = 0x1F1  # how many 512-byte sectors of real-mode code come before the payload's origin
HEADER_MAGIC: Final = 0x202
PAYLOAD_OFFSET: Final = 0x248  # u32 offset, u32 length; protocol 2.08 and later
DEFAULT_SETUP_SECTS: Final = 4
ELF_MAGIC: Final = b"\x7fELF"
UNPACK_S: Final = 120.0
ZBOOT_MAGIC: Final = b"zimg"
ARM64_AT: Final = 56
ARM64_MAGIC: Final = b"ARM\x64"


def payload(image: bytes) -> bytes:
    """The compressed kernel inside a bzImage. Raises ValueError when `image` is not one."""
    if image[HEADER_MAGIC : HEADER_MAGIC + 4] != b"HdrS":
        raise ValueError("not an x86 bzImage: the setup header has no HdrS magic")
    sectors = image[SETUP_SECTS] or DEFAULT_SETUP_SECTS
    offset, length = struct.unpack_from("<II", image, PAYLOAD_OFFSET)
    begin = (sectors + 1) * 512 + offset
    body = image[begin : begin + length]
    if not length or len(body) != length:
        raise ValueError(f"the payload needs {length} bytes at {begin}, the image has only {len(image)}")
    return body


def unpack(body: bytes) -> bytes:
    """Decompress a payload by its magic number. Raises ValueError for an unknown one, or when the result is not ELF."""
    decompress = _decompressor(body)
    if decompress is None:
        raise ValueError(f"unknown compression, magic {body[:6].hex()}")
    kernel = decompress(body)
    if not kernel.startswith(ELF_MAGIC):
        raise ValueError("the payload is not an ELF file")
    return kernel


def startable(vmlinuz: Path, arch: Arch) -> bytes:
    """The file that QEMU starts, unpacked if this host can: without lz4 or zstd a bzImage unpacks itself at boot.

    Raises ProvisioningError naming the file, PreconditionError (an arm64 kernel that only a missing tool unpacks).
    """
    if arch == "aarch64":
        return arm64(vmlinuz)
    try:
        return vmlinux(vmlinuz)
    except PreconditionError:
        return vmlinuz.read_bytes()


def vmlinux(bzimage: Path) -> bytes:
    """The ELF kernel of a bzImage on disk. Raises ProvisioningError naming the file."""
    try:
        return unpack(payload(bzimage.read_bytes()))
    except (ValueError, zlib.error, lzma.LZMAError, OSError) as error:
        message = f"{bzimage}: {error}"
        raise ProvisioningError(message, fix="choose another machine.image in lab.yaml") from error


def arm64(vmlinuz: Path) -> bytes:
    """The plain Image of an arm64 kernel on disk, packed as Debian packs it. Raises ProvisioningError naming the file.

    Layouts: Linux Documentation/arch/arm64/booting.rst; drivers/firmware/efi/libstub/zboot-header.S.
    """
    try:
        data = vmlinuz.read_bytes()
        if data[4:8] == ZBOOT_MAGIC:
            offset, length = struct.unpack_from("<II", data, 8)
            data = data[offset : offset + length]
        decompress = _decompressor(data)
        data = decompress(data) if decompress else data
        if data[ARM64_AT : ARM64_AT + 4] != ARM64_MAGIC:
            raise ValueError("not an arm64 Image")
    except (ValueError, zlib.error, lzma.LZMAError, OSError, struct.error) as error:
        message = f"{vmlinuz}: {error}"
        raise ProvisioningError(message, fix="choose another machine.image in lab.yaml") from error
    return data


def _decompressor(body: bytes) -> Callable[[bytes], bytes] | None:
    return next((decompress for magic, decompress in DECOMPRESSORS.items() if body.startswith(magic)), None)


def _by_tool(*argv: str) -> Callable[[bytes], bytes]:
    def decompress(body: bytes) -> bytes:
        # Python 3.11 supports neither format; the last four bytes are the size that the kernel's build appends
        tool = [proc.require_tool(argv[0]), *argv[1:]]
        result = proc.run(tool, stdin=body[:-4], deadline=Deadline.after(UNPACK_S))
        if not result.ok:
            raise PreconditionError(f"{argv[0]} cannot unpack the kernel: {result.tail()}", fix="lab doctor --install")
        return result.stdout

    return decompress


DECOMPRESSORS: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"\x1f\x8b": lambda body: zlib.decompressobj(wbits=31).decompress(body),
    # objects, not the modules' functions: four bytes of size follow the stream and are not part of it
    b"\xfd7zXZ\x00": lambda body: lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(body),
    b"\x5d\x00\x00": lambda body: lzma.LZMADecompressor(format=lzma.FORMAT_ALONE).decompress(body),
    b"BZh": lambda body: bz2.BZ2Decompressor().decompress(body),
    b"\x28\xb5\x2f\xfd": _by_tool("zstd", "-dcq"),
    b"\x02\x21\x4c\x18": _by_tool("lz4", "-dc"),
}
