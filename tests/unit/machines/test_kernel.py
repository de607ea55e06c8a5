"""A bzImage made here from its description, with each compression that a kernel may have."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.machines import kernel
from lab.model.errors import ProvisioningError

ELF = b"\x7fELF" + bytes(range(256)) * 40
SIZE = struct.pack("<I", len(ELF))  # the kernel's build appends the unpacked size to most formats


def bzimage(body: bytes, *, setup_sectors: int = 31, offset: int = 0x2D0) -> bytes:
    image = bytearray(0x268)
    image[kernel.SETUP_SECTS] = setup_sectors
    image[kernel.HEADER_MAGIC : kernel.HEADER_MAGIC + 4] = b"HdrS"
    struct.pack_into("<II", image, kernel.PAYLOAD_OFFSET, offset, len(body))
    begin = ((setup_sectors or 4) + 1) * 512 + offset
    return bytes(image) + bytes(begin - len(image)) + body + b"the image's own end"


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize(
    "compress", [gzip.compress, lzma.compress, bz2.compress, lambda data: lzma.compress(data, lzma.FORMAT_ALONE), zstd]
)
def test_vmlinux_comes_out_of_every_compression(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(compress(ELF) + SIZE))
    assert kernel.vmlinux(path) == ELF


def test_no_setup_sectors_mean_four() -> None:
    assert kernel.payload(bzimage(b"body", setup_sectors=0)) == b"body"


@pytest.mark.parametrize(
    ("image", "cause"),
    [
        (b"<html>sign in to this network</html>" * 40, "no HdrS"),
        (bzimage(b"\x1f\x8bnot really gzip"), "gzip|decompress|header|block|invalid"),
        (bzimage(b"unheard of"), "unknown compression"),
        (bzimage(gzip.compress(b"MZ not a kernel")), "not an ELF"),
        (bzimage(gzip.compress(ELF))[:-200], "the image ends after"),
    ],
)
def test_what_is_no_kernel_is_named(tmp_path: Path, image: bytes, cause: str) -> None:
    path = tmp_path / "vmlinuz-bad"
    path.write_bytes(image)
    with pytest.raises(ProvisioningError, match=cause) as raised:
        kernel.vmlinux(path)
    assert "vmlinuz-bad" in str(raised.value)
