"""What a kernel file says of itself, and how one that cannot be started is refused."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.machines.images.kernels import file as kernel_file
from lab.model.errors import ConfigError, PreconditionError
from tests.fakes import kernels


def written(folder: Path, data: bytes) -> Path:
    path = folder / "kernel"
    path.write_bytes(data)
    return path


def test_a_bzimage_is_started_by_the_elf_in_it(tmp_path: Path) -> None:
    plain = kernels.elf(drivers=("virtio_blk", "virtio-pci"))
    found = kernel_file.read(written(tmp_path, kernels.packed(plain)), "x86_64")
    assert (found.form, found.arch, found.release, found.btf) == ("bzImage", "x86_64", kernels.RELEASE, True)
    assert found.start == plain
    assert (found.names("virtio_blk"), found.names("virtio_pci"), found.names("virtio_net")) == (True, True, False)


def test_a_name_inside_another_word_is_no_driver(tmp_path: Path) -> None:
    found = kernel_file.read(written(tmp_path, kernels.elf(drivers=("ext4_lazyinit",))), "x86_64")
    assert not found.names("ext4")


def test_a_bzimage_without_that_entry_is_started_as_it_is(tmp_path: Path) -> None:
    data = kernels.packed(kernels.elf(pvh=False))
    assert kernel_file.read(written(tmp_path, data), "x86_64").start == data


def test_a_vmlinux_is_taken_as_it_is(tmp_path: Path) -> None:
    found = kernel_file.read(written(tmp_path, kernels.elf(btf=False)), "x86_64")
    assert (found.form, found.btf) == ("vmlinux", False)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_arm64_image_is_known(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    found = kernel_file.read(written(tmp_path, pack(kernels.arm64_image())), "aarch64")
    assert (found.form, found.arch, found.release) == ("Image", "aarch64", kernels.RELEASE)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "only 0 bytes"),
        (b"<html>sign in to this network</html>" * 40, "neither a vmlinux"),
        (kernels.elf()[:130] + bytes(2000), "does not contain the text 'Linux version'"),
        (kernels.elf(machine=kernels.S390), "another architecture"),
        (kernels.elf()[:32] + b"\xff" * 8 + kernels.elf()[40:], "a damaged ELF file"),  # where its segments are
        (kernels.bzimage(b"unheard of"), "unknown compression"),
        (kernels.bzimage(gzip.compress(kernels.elf()), bits=32), "32-bit"),
        (kernels.packed(kernels.elf())[:-300], "the image has only"),
        (gzip.compress(os.urandom(4000)), "neither a vmlinux"),
        (b"\x1f\x8b" + bytes(4000), "incorrect|unknown|error"),
    ],
)
def test_what_is_no_kernel_is_told_with_its_name(tmp_path: Path, data: bytes, cause: str) -> None:
    with pytest.raises(ConfigError, match=cause) as raised:
        kernel_file.read(written(tmp_path, data), "x86_64")
    assert str(tmp_path / "kernel") in str(raised.value)
    assert raised.value.fix


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        kernel_file.read(tmp_path / "none", "x86_64")
    with pytest.raises(ConfigError, match="cannot read the kernel"):
        kernel_file.read(tmp_path, "x86_64")


def test_another_processors_kernel_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="for aarch64, the machine is x86_64"):
        kernel_file.read(written(tmp_path, kernels.arm64_image()), "x86_64")
    with pytest.raises(PreconditionError, match="for x86_64, the machine is aarch64"):
        kernel_file.read(written(tmp_path, kernels.packed(kernels.elf())), "aarch64")


def test_a_vmlinux_that_cannot_be_started_directly_is_told_what_can(tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="CONFIG_PVH") as raised:
        kernel_file.read(written(tmp_path, kernels.elf(pvh=False)), "x86_64")
    assert "bzImage" in raised.value.fix


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ConfigError, match="not a file"):
            kernel_file.read(path, "x86_64")


def test_a_bomb_stops_at_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_file, "LARGEST", 1 << 20)
    for data in (gzip.compress(bytes(2 << 20)), bytes(2 << 20)):
        with pytest.raises(ConfigError, match="more than"):
            kernel_file.read(written(tmp_path, data), "x86_64")
