"""A golden image as one file: what comes out is what went in, and whatever else is in an archive is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from lab.machines.images import archive as image_archive
from lab.machines.images import image
from lab.machines.images import seal as image_seal
from lab.machines.images.cloud import disk as cloud_disk
from lab.model.errors import LabError, PreconditionError, UsageError
from lab.model.lab import Lab
from lab.system.wait import Deadline

SOON = 60.0
MIB = 1 << 20


def sealed(lab: Lab, ident: str = "a1") -> Path:
    folder = lab.paths.images / ident
    folder.mkdir(parents=True)
    disk = bytearray(4 * MIB)
    disk[MIB : MIB + 5] = b"hello"
    for name, data in zip(image.FILES, (bytes(disk), b"a kernel", b"drivers"), strict=True):
        (folder / name).write_bytes(data)
    image_seal.seal(folder, image.FILES, {"id": ident, "arch": "x86_64", "kernel": "6.1"})
    return folder


def test_a_golden_image_travels_as_one_file(lab: Lab, tmp_path: Path) -> None:
    folder, target = sealed(lab), tmp_path / "golden.tar"
    digest = image_archive.export(lab, "a1", target)
    given = cloud_disk.source(lab, str(target), digest, Deadline.after(SOON))
    assert given.read_bytes() == target.read_bytes()
    assert given.parent == lab.paths.downloads, "what was hashed is what is used, whoever changes the other one"
    assert cloud_disk.format_of(target) == "tar"
    work = tmp_path / "work"
    work.mkdir()
    image_archive.unpack(target, work, "x86_64", Deadline.after(SOON))
    assert image_seal.check(work) == image_seal.check(folder)
    assert (work / image.DISK).read_bytes() == (folder / image.DISK).read_bytes()
    with pytest.raises(UsageError, match="exists"):
        image_archive.export(lab, "a1", target)
    with pytest.raises(UsageError, match="there is no image"):
        image_archive.export(lab, "../a1", tmp_path / "other.tar")


def repacked(source: Path, target: Path, change: dict[str, bytes | None], links: tuple[str, ...] = ()) -> Path:
    """The archive with members replaced (None: left out) or added."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        contents = {m.name: f.read() for m in old if (f := old.extractfile(m)) is not None}
        for name, data in {**contents, **change}.items():
            if data is not None:
                about = tarfile.TarInfo(name)
                about.size = len(data)
                new.addfile(about, io.BytesIO(data))
        for name in links:
            about = tarfile.TarInfo(name)
            about.type, about.linkname = tarfile.SYMTYPE, "/etc/passwd"
            new.addfile(about)
    return target


@pytest.mark.parametrize(
    ("change", "links", "says"),
    [
        ({"../evil": b"x"}, (), "not part of a golden image"),
        ({"/etc/evil": b"x"}, (), "not part of a golden image"),
        ({image.KERNEL: None}, (image.KERNEL,), "not part of a golden image"),
        ({image.KERNEL: None}, (), "not a golden image: it holds"),
        ({image.KERNEL: b"another"}, (), "vmlinux has digest"),
        ({image_archive.PACKED_DISK: b"not a disk"}, (), "is not qcow2"),
        ({image_seal.SEAL_FILE: b"{}"}, (), "no valid seal"),
        ({image_seal.SEAL_FILE: b'{"schema": 1, "digests": {"../../x": "0"}}'}, (), "no valid seal"),
    ],
)
def test_a_hostile_archive_is_refused(
    lab: Lab, tmp_path: Path, change: dict[str, bytes | None], links: tuple[str, ...], says: str
) -> None:
    sealed(lab)
    image_archive.export(lab, "a1", tmp_path / "good.tar")
    bad = repacked(tmp_path / "good.tar", tmp_path / "bad.tar", change, links)
    work = tmp_path / "in" / "work"
    work.mkdir(parents=True)
    with pytest.raises(LabError, match=says):
        image_archive.unpack(bad, work, "x86_64", Deadline.after(SOON))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar", "good.tar", "home", "in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["work"]


def test_an_archive_for_another_processor_is_refused(lab: Lab, tmp_path: Path) -> None:
    sealed(lab)
    image_archive.export(lab, "a1", tmp_path / "good.tar")
    (tmp_path / "work").mkdir()
    with pytest.raises(PreconditionError, match="is for x86_64, this machine is aarch64"):
        image_archive.unpack(tmp_path / "good.tar", tmp_path / "work", "aarch64", Deadline.after(SOON))
