"""A seal finds any change, and costs nothing while nothing changed. Real files with real holes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lab.machines.images import seal as image_seal
from lab.model.errors import SecurityStop

MIB = 1024 * 1024


def sparse(path: Path, *, at: int, data: bytes, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(at)
        file.write(data)
    return path


def test_holes_and_zeros_have_one_digest(tmp_path: Path) -> None:
    holes = sparse(tmp_path / "holes", at=3 * MIB + 17, data=b"data" * 5000, size=8 * MIB)
    filled = tmp_path / "filled"
    filled.write_bytes(holes.read_bytes())
    if holes.stat().st_blocks >= filled.stat().st_blocks:
        pytest.fail("this file system keeps no holes: the test proves nothing here")
    assert image_seal.digest(holes) == image_seal.digest(filled)


@pytest.mark.parametrize("at", [0, 3 * MIB + 17, 5 * MIB, 8 * MIB - 1])
def test_one_changed_byte_anywhere_changes_the_digest(tmp_path: Path, at: int) -> None:
    path = sparse(tmp_path / "disk", at=3 * MIB + 17, data=b"data" * 5000, size=8 * MIB)
    before = image_seal.digest(path)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"!")
    assert image_seal.digest(path) != before


def test_length_and_place_count(tmp_path: Path) -> None:
    made = [
        sparse(tmp_path / "a", at=0, data=b"x", size=MIB),
        sparse(tmp_path / "b", at=0, data=b"x", size=MIB + 1),
        sparse(tmp_path / "c", at=image_seal.BLOCK, data=b"x", size=MIB),
    ]
    assert len({image_seal.digest(path) for path in made}) == 3


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    directory = tmp_path / "image"
    directory.mkdir()
    sparse(directory / "disk.raw", at=2 * MIB, data=b"root", size=4 * MIB)
    (directory / "vmlinux").write_bytes(b"kernel")
    image_seal.seal(directory, ("disk.raw", "vmlinux"), {"id": "x"})
    return directory


def test_an_unchanged_image_is_not_read_again(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_seal, "digest", lambda path: pytest.fail(f"{path} was read"))
    assert set(image_seal.check(sealed)) == {"disk.raw", "vmlinux"}


def test_a_copy_is_read_once_and_then_trusted(sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(sealed, copy)
    read: list[str] = []
    digest = image_seal.digest

    def watched(path: Path) -> str:
        read.append(path.name)
        return digest(path)

    monkeypatch.setattr(image_seal, "digest", watched)
    assert image_seal.check(copy) == image_seal.check(sealed)
    assert read == ["disk.raw", "vmlinux"]
    image_seal.check(copy)
    assert read == ["disk.raw", "vmlinux"]


def test_a_changed_disk_is_found(sealed: Path) -> None:
    with (sealed / "disk.raw").open("r+b") as file:
        file.seek(3 * MIB)
        file.write(b"intruder")
    with pytest.raises(SecurityStop, match=r"disk\.raw has digest") as raised:
        image_seal.check(sealed)
    assert str(sealed) in raised.value.fix


def test_a_change_under_an_old_date_is_found_by_a_deep_check(sealed: Path) -> None:
    path = sealed / "vmlinux"
    before = path.stat()
    path.write_bytes(b"KERNEL")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    image_seal.check(sealed)  # same size, date and inode: what a cheap check cannot see, `doctor --deep` does
    with pytest.raises(SecurityStop, match="vmlinux has digest"):
        image_seal.check(sealed, deep=True)


def test_a_missing_file_and_a_missing_seal_are_told(sealed: Path) -> None:
    (sealed / "vmlinux").unlink()
    with pytest.raises(SecurityStop, match="vmlinux is missing"):
        image_seal.check(sealed)
    (sealed / "image.json").write_text('{"schema": 1, "dig')
    with pytest.raises(SecurityStop, match="no readable seal"):
        image_seal.check(sealed)


def test_a_lost_witness_costs_one_full_check(sealed: Path) -> None:
    (sealed / "checked.json").write_text("torn")
    image_seal.check(sealed)
    assert image_seal._read_witness(sealed).keys() == {"disk.raw", "vmlinux"}
