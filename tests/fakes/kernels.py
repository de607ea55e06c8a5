"""Kernel files and module trees made from their descriptions: small, and wrong in just the way that a test wants."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable
from pathlib import Path

from lab.machines.images.kernels import unpack

RELEASE = "6.9.1-own"
BUILT_IN = ("ext4", "virtio-pci", "virtio_blk", "virtio_net", "virtio_console")
X86_64, AARCH64, S390 = 62, 183, 22


def elf(
    *, release: str = RELEASE, drivers: Iterable[str] = (), pvh: bool = True, btf: bool = True, machine: int = X86_64
) -> bytes:
    """An ELF kernel with one note, the strings of its built-in `drivers` and the name of a section."""
    name, kind = (b"Xen\0", 18) if pvh else (b"GNU\0", 3)
    note = struct.pack("<III", len(name), 8, kind) + name + bytes(8)
    body = b"\0Linux version %s (someone@somewhere) #1 SMP\0" % release.encode()
    body += b"".join(b"\0%s\0" % driver.encode() for driver in drivers)
    body += b"\0.text\0.BTF\0" if btf else b"\0.text\0"
    begin = 64 + 56
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    program = struct.pack("<IIQQQQQQ", 4, 4, begin, 0, 0, len(note), len(note), 4)
    return header + program + note + body + bytes(1024)


def bzimage(body: bytes, *, setup_sectors: int = 31, offset: int = 0x2D0, bits: int = 64) -> bytes:
    """A bzImage with `body`, which is already compressed, behind its setup code."""
    image = bytearray(0x268)
    image[unpack.SETUP_SECTS] = setup_sectors
    image[unpack.HEADER_MAGIC : unpack.HEADER_MAGIC + 4] = b"HdrS"
    struct.pack_into("<H", image, 0x236, 1 if bits == 64 else 0)
    struct.pack_into("<II", image, unpack.PAYLOAD_OFFSET, offset, len(body))
    begin = ((setup_sectors or 4) + 1) * 512 + offset
    return bytes(image) + bytes(begin - len(image)) + body + b"the image's own end"


def packed(plain: bytes) -> bytes:
    """The bzImage of an ELF kernel."""
    return bzimage(gzip.compress(plain))


def arm64_image(release: str = RELEASE) -> bytes:
    """An arm64 Image: flat, its mark at byte 56."""
    return bytes(56) + b"ARM\x64" + bytes(range(256)) * 8 + b"Linux version %s (someone@somewhere)\0" % release.encode()


def modules(folder: Path, names: Iterable[str], *, release: str = RELEASE) -> Path:
    """A folder lib/modules/VERSION with a module file each, and modprobe's table of them."""
    rows = []
    for name in names:
        path = folder / f"kernel/drivers/{name}.ko"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x7fELF\0license=GPL\0vermagic=%s SMP mod_unload \0" % release.encode())
        rows.append(f"kernel/drivers/{name}.ko:\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "modules.dep").write_text("".join(rows))
    return folder
