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

from lab.machines.images.kernels import unpack
from lab.model.errors import ProvisioningError
from tests.fakes import kernels
from tests.fakes.kernels import bzimage

ELF = b"\x7fELF" + bytes(range(256)) * 40
SIZE = struct.pack("<I", len(ELF))  # the kernel's build appends the unpacked size to most formats


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize(
    "compress", [gzip.compress, lzma.compress, bz2.compress, lambda data: lzma.compress(data, lzma.FORMAT_ALONE), zstd]
)
def test_vmlinux_comes_out_of_every_compression(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(compress(ELF) + SIZE))
    assert unpack.vmlinux(path) == ELF


def test_no_setup_sectors_mean_four() -> None:
    assert unpack.payload(bzimage(b"body", setup_sectors=0)) == b"body"


@pytest.mark.parametrize(
    ("image", "cause"),
    [
        (b"<html>sign in to this network</html>" * 40, "no HdrS"),
        (bzimage(b"\x1f\x8bnot really gzip"), "gzip|decompress|header|block|invalid"),
        (bzimage(b"unheard of"), "unknown compression"),
        (bzimage(gzip.compress(b"MZ not a kernel")), "not an ELF"),
        (bzimage(gzip.compress(ELF))[:-200], "the image has only"),
    ],
)
def test_what_is_no_kernel_is_named(tmp_path: Path, image: bytes, cause: str) -> None:
    path = tmp_path / "vmlinuz-bad"
    path.write_bytes(image)
    with pytest.raises(ProvisioningError, match=cause) as raised:
        unpack.vmlinux(path)
    assert "vmlinuz-bad" in str(raised.value)


def test_an_arm64_image_is_found_in_each_wrapping(tmp_path: Path) -> None:
    """Plain (Debian 12), in gzip, and in an EFI zboot file (Debian 13)."""
    image = kernels.arm64_image()
    packed = gzip.compress(image)
    zboot = b"MZ\0\0zimg" + struct.pack("<II", 64, len(packed)) + bytes(48) + packed + b"tail"
    for number, data in enumerate((image, packed, zboot)):
        path = tmp_path / str(number)
        path.write_bytes(data)
        assert unpack.arm64(path) == image
    other = tmp_path / "other"
    other.write_bytes(ELF)
    with pytest.raises(ProvisioningError, match="not an arm64 Image"):
        unpack.arm64(other)


def test_a_kernel_that_no_tool_here_unpacks_is_started_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.system.proc.which", lambda _: None)
    image = bzimage(b"\x02\x21\x4c\x18 a kernel" + bytes(64))
    path = tmp_path / "vmlinuz"
    path.write_bytes(image)
    assert unpack.startable(path, "x86_64") == image
