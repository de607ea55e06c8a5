"""Vagrant boxes: taken by digest, and what must never be one."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from lab.machines.providers.vagrant import box as vagrant_box
from lab.model.config import Config
from lab.model.errors import ConfigError, PreconditionError, SecurityStop
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH, MachineSpec
from lab.model.paths import Paths
from lab.system import download

DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(config=Config(), paths=Paths(home=tmp_path / "home"), bus=Bus())


def box(folder: Path, metadata: object, *disk: str, name: str = "a.box") -> Path:
    """A box with the disk that `qemu-img create` makes of `disk`."""
    image = folder / "box.img"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *disk, str(image), "8M"], check=True)
    path = folder / name
    with tarfile.open(path, "w:gz") as tar:
        if metadata is not None:
            data = json.dumps(metadata).encode()
            about = tarfile.TarInfo("./metadata.json")
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
        tar.add(image, "./box.img")
    return path


GOOD = {"provider": "libvirt", "format": "qcow2", "virtual_size": 1}


def test_a_good_box_is_taken(lab: Lab, tmp_path: Path) -> None:
    path = box(tmp_path, GOOD | {"architecture": "amd64" if HOST_ARCH == "x86_64" else "arm64"})
    digest = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    for source in (str(path), path.as_uri()):
        spec = MachineSpec(provider="vagrant", source=source, digest=digest)
        assert vagrant_box.ensure(lab, spec, "libvirt") == vagrant_box.Box(path=path, digest=digest)


def test_a_box_that_was_hashed_is_hashed_again_only_when_it_has_changed(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = box(tmp_path, GOOD)
    digest = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    spec = MachineSpec(provider="vagrant", source=str(path), digest=digest)
    hashed: list[Path] = []
    matches = download.matches

    def noted(path: Path, digest: str) -> bool:
        hashed.append(path)
        return matches(path, digest)

    monkeypatch.setattr(download, "matches", noted)
    for _ in range(2):
        vagrant_box.ensure(lab, spec, "libvirt")
    assert hashed == [path]
    path.write_bytes(path.read_bytes() + bytes(512))
    with pytest.raises(SecurityStop, match="does not match the digest"):
        vagrant_box.ensure(lab, spec, "libvirt")
    with pytest.raises(SecurityStop, match="does not match the digest"):
        vagrant_box.ensure(lab, replace(spec, digest=DIGEST), "libvirt")


def test_a_box_with_another_digest_is_not_used(lab: Lab, tmp_path: Path) -> None:
    spec = MachineSpec(provider="vagrant", source=str(box(tmp_path, GOOD)), digest=DIGEST)
    with pytest.raises(SecurityStop, match="does not match the digest"):
        vagrant_box.ensure(lab, spec, "libvirt")


def test_a_box_whose_disk_stands_on_a_file_of_this_host_is_refused(tmp_path: Path) -> None:
    base = tmp_path / "secret.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(base), "8M"], check=True)
    path = box(tmp_path, GOOD, "-b", str(base), "-F", "qcow2")
    with pytest.raises(SecurityStop, match="has a backing or data file"):
        vagrant_box.inspect(path, HOST_ARCH, "libvirt")


def test_a_box_whose_data_is_elsewhere_is_refused(tmp_path: Path) -> None:
    path = box(tmp_path, GOOD, "-o", f"data_file={tmp_path / 'data.raw'}")
    with pytest.raises(SecurityStop, match="has a backing or data file"):
        vagrant_box.inspect(path, HOST_ARCH, "libvirt")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_a_box_whose_disk_is_a_link_out_of_it_is_refused(tmp_path: Path, kind: bytes) -> None:
    path = box(tmp_path, GOOD)
    with tarfile.open(path, "w:gz") as tar:
        data = json.dumps(GOOD).encode()
        about = tarfile.TarInfo("metadata.json")
        about.size = len(data)
        tar.addfile(about, io.BytesIO(data))
        link = tarfile.TarInfo("box.img")
        link.type, link.linkname = kind, "metadata.json" if kind == tarfile.LNKTYPE else "/etc/shadow"
        tar.addfile(link)
    with pytest.raises(SecurityStop, match="points outside the box"):
        vagrant_box.inspect(path, HOST_ARCH, "libvirt")


@pytest.mark.parametrize("place", ["/etc/shadow", "../../shadow"])
def test_a_box_whose_metadata_names_a_disk_of_this_host_is_refused(tmp_path: Path, place: str) -> None:
    path = box(tmp_path, {"provider": "libvirt", "format": "qcow2", "disks": [{"path": "box.img"}, {"path": place}]})
    with pytest.raises(SecurityStop, match="on this host"):
        vagrant_box.inspect(path, HOST_ARCH, "libvirt")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (GOOD | {"architecture": "arm64" if HOST_ARCH == "x86_64" else "amd64"}, "this machine is"),
        (GOOD | {"provider": "virtualbox"}, "a box for virtualbox, not libvirt"),
        (None, "no metadata.json"),
        ([], "cannot read metadata.json"),
    ],
)
def test_a_box_for_something_else_is_refused(tmp_path: Path, metadata: object, words: str) -> None:
    with pytest.raises(PreconditionError, match=words):
        vagrant_box.inspect(box(tmp_path, metadata), HOST_ARCH, "libvirt")


def test_what_is_no_box_is_refused(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "page.box"
    path.write_text("<html>not found</html>")
    with pytest.raises(PreconditionError, match="not a Vagrant box"):
        vagrant_box.inspect(path, HOST_ARCH, "libvirt")
    spec = MachineSpec(provider="vagrant", source=str(tmp_path / "nothing.box"), digest=DIGEST)
    with pytest.raises(ConfigError, match="does not exist"):
        vagrant_box.ensure(lab, spec, "libvirt")
