"""A cloud image that is not what it should be: one clear error each; and what a good one is turned into."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import json
import struct
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.machines import keys
from lab.machines.images import golden, image
from lab.machines.images.cloud import boot as cloud_boot
from lab.machines.images.cloud import catalog as cloud_catalog
from lab.machines.images.cloud import convert as cloud_convert
from lab.machines.images.cloud import disk as cloud_disk
from lab.machines.images.cloud import nocloud
from lab.machines.vm import acceleration
from lab.model.errors import ConfigError, PreconditionError, ProvisioningError, SecurityStop
from lab.model.lab import Lab
from lab.model.machine import MachineSpec
from lab.system import download, proc
from lab.system.wait import Deadline

SOON = 60.0
MIB = 1 << 20


def spec_of(source: str, content: bytes = b"", **more: object) -> MachineSpec:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return MachineSpec(arch="x86_64", source=source, **{"digest": digest, **more})  # type: ignore[arg-type]


def mbr(*partitions: tuple[int, int, int], sectors: int = 8192) -> bytes:
    """A disk with partitions (type, first sector, sectors)."""
    table = b"".join(struct.pack("<B3xB3xII", 0, *partition) for partition in partitions)
    return (bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa").ljust(sectors * 512, b"\0")


def gpt(kind: uuid.UUID, *, sectors: int = 8192) -> bytes:
    header = b"EFI PART".ljust(72, b"\0") + struct.pack("<QII", 2, 128, 128)
    entry = kind.bytes_le + bytes(16) + struct.pack("<QQ", 2048, 4095)
    return (bytes(510) + b"\x55\xaa" + header.ljust(512, b"\0") + entry).ljust(sectors * 512, b"\0")


def made(folder: Path, content: bytes, name: str = "disk.img") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which it is served."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("digest", ["", "sha256:12", "md5:0123", "f" * 64])
def test_a_source_is_only_taken_with_a_digest_that_can_be_checked(digest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cloud_catalog.image(spec_of("http://127.0.0.1/x.qcow2", digest=digest))
    assert caught.value.exit_code == 3
    assert "--digest sha256:HEX" in caught.value.fix


def test_other_bytes_than_the_digest_says_are_not_used(lab: Lab, web: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = web
    made(folder, mbr((0x83, 2048, 100)))
    wrong = f"sha256:{'0' * 64}"
    for where in (f"{address}/disk.img", str(folder / "disk.img")):
        with pytest.raises(SecurityStop) as caught:
            cloud_disk.source(lab, where, wrong, Deadline.after(SOON))
        assert caught.value.exit_code == 9
    assert not list(lab.paths.downloads.glob("*.img"))


def test_a_download_that_stopped_goes_on(lab: Lab, web: tuple[Path, str]) -> None:
    folder, address = web
    content = mbr((0x83, 2048, 100)) + b"the end"
    made(folder, content)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    lab.paths.downloads.mkdir(parents=True)
    (lab.paths.downloads / f"{digest[7:39]}.img.part").write_bytes(content[: MIB // 2])
    path = cloud_disk.source(lab, f"{address}/disk.img", digest, Deadline.after(SOON))
    assert path.read_bytes() == content


def test_a_web_page_is_no_image(lab: Lab, web: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = web
    page = b"<!DOCTYPE html><html>log in here</html>"
    made(folder, page, "disk.qcow2")
    with pytest.raises(PreconditionError, match="web page"):
        cloud_disk.source(lab, f"{address}/disk.qcow2", f"sha256:{'0' * 64}", Deadline.after(SOON))
    with pytest.raises(PreconditionError, match="not a disk image"):
        cloud_disk.format_of(folder / "disk.qcow2")


def test_a_disk_that_stands_on_another_file_is_refused(tmp_path: Path) -> None:
    base, top = made(tmp_path, bytes(MIB), "base.raw"), tmp_path / "top.qcow2"
    argv = [proc.require_tool("qemu-img"), "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(base), str(top)]
    assert proc.run(argv, deadline=Deadline.after(SOON)).ok
    with pytest.raises(SecurityStop, match="has a backing or data file") as caught:
        cloud_disk.format_of(top)
    assert caught.value.exit_code == 9
    out = tmp_path / "out.qcow2"
    argv = [
        proc.require_tool("qemu-img"),
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        f"data_file={tmp_path}/data",
        str(out),
        "1M",
    ]
    assert proc.run(argv, deadline=Deadline.after(SOON)).ok
    with pytest.raises(SecurityStop, match="has a backing or data file"):
        cloud_disk.format_of(out)


def test_an_image_for_another_processor_is_refused_by_its_name_and_by_its_table(tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="is for aarch64, this machine is x86_64"):
        cloud_catalog.check_name(spec_of("https://example.org/debian-12-genericcloud-arm64.qcow2"))
    cloud_catalog.check_name(spec_of("https://example.org/debian-12-genericcloud-amd64.qcow2"))
    arm = next(kind for kind, arch in cloud_disk.ROOTS.items() if arch == "aarch64")
    disk = made(tmp_path, gpt(arm))
    with pytest.raises(PreconditionError, match="is for aarch64") as caught:
        cloud_disk.check(disk, "raw", "x86_64", 1, tmp_path, Deadline.after(SOON))
    assert caught.value.fix.endswith("--arch aarch64")
    cloud_disk.check(disk, "raw", "aarch64", 1, tmp_path, Deadline.after(SOON))


def test_a_disk_larger_than_the_machine_s_is_refused(tmp_path: Path) -> None:
    disk = made(tmp_path, mbr((0x83, 2048, 100)))
    with disk.open("r+b") as file:
        file.truncate(2 << 30)
    with pytest.raises(PreconditionError, match=r"2\.0 GiB, the machine's disk only 1 GiB") as caught:
        cloud_disk.check(disk, "raw", "x86_64", 1, tmp_path, Deadline.after(SOON))
    assert caught.value.fix == "set machine.disk_gib to 2"


def test_the_root_is_the_largest_linux_partition() -> None:
    found = cloud_disk.root_partition(mbr((0x83, 2048, 100), (0xEF, 3000, 9000), (0x83, 4096, 200)))
    assert (found.offset, found.size, found.arch) == (4096 * 512, 200 * 512, None)
    x86 = next(kind for kind, arch in cloud_disk.ROOTS.items() if arch == "x86_64")
    found = cloud_disk.root_partition(gpt(x86))
    assert (found.offset, found.size, found.arch) == (2048 * 512, 2048 * 512, "x86_64")
    for nothing in (mbr(), bytes(1024), b"", gpt(uuid.uuid4())):
        with pytest.raises(PreconditionError, match="no Linux partition"):
            cloud_disk.root_partition(nothing)


def test_the_root_file_system_is_taken_out_as_it_is(tmp_path: Path) -> None:
    soon = Deadline.after(SOON)
    whole, disk = made(tmp_path, mbr((0x83, 2048, 8192), sectors=10240), "whole.raw"), tmp_path / "disk,1.qcow2"
    mke2fs = [proc.require_tool("mke2fs"), "-q", "-t", "ext4", "-E", f"offset={2048 * 512}", str(whole), "4096k"]
    assert proc.run(mke2fs, deadline=soon).ok
    convert = [proc.require_tool("qemu-img"), "convert", "-f", "raw", "-O", "qcow2", str(whole), str(disk)]
    assert proc.run(convert, deadline=soon).ok
    cloud_disk.export_root(disk, tmp_path / "root.raw", tmp_path, soon)
    assert (tmp_path / "root.raw").read_bytes() == whole.read_bytes()[2048 * 512 :]
    with (tmp_path / "root.raw").open("r+b") as file:
        file.seek(1024 + 0x60)
        flags = struct.unpack("<I", file.read(4))[0]
        file.seek(1024 + 0x60)
        file.write(struct.pack("<I", flags | cloud_disk.NEEDS_RECOVERY))
    with pytest.raises(ProvisioningError, match="not shut down cleanly"):
        cloud_disk.need_clean(tmp_path / "root.raw")
    with pytest.raises(PreconditionError, match="not ext4"):
        cloud_disk.need_clean(made(tmp_path, bytes(4096), "none.raw"))


def test_the_seed_s_disk_says_who_may_log_in_and_is_private(tmp_path: Path) -> None:
    import pycdlib

    seed = keys.seed(tmp_path)
    nocloud.write_disk(tmp_path / "seed.iso", seed)
    assert (tmp_path / "seed.iso").stat().st_mode & 0o077 == 0
    disk = pycdlib.PyCdlib()
    disk.open(str(tmp_path / "seed.iso"))
    assert disk.pvd.volume_identifier.decode().strip() == "cidata"
    said = {}
    for name in ("user-data", "meta-data"):
        out = io.BytesIO()
        disk.get_file_from_iso_fp(out, rr_path=f"/{name}")
        said[name] = out.getvalue().decode()
    disk.close()
    assert said["user-data"].startswith("#cloud-config\n")
    doc = json.loads(said["user-data"].partition("\n")[2])
    assert seed.user_key_public in doc["bootcmd"][0][2]
    assert doc["users"] == []
    assert json.loads(said["meta-data"])["instance-id"] == seed.machine_id


def test_an_arm_machine_needs_its_firmware_and_its_qemu(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = made(tmp_path, b"", "qemu-system-aarch64")
    monkeypatch.setattr(cloud_boot, "FIRMWARE", ())
    with pytest.raises(PreconditionError, match="UEFI firmware for aarch64") as caught:
        cloud_boot.firmware("aarch64", str(program))
    assert caught.value.fix == "apt-get install qemu-efi-aarch64"
    (tmp_path / "share").mkdir()
    beside = made(tmp_path / "share", b"", "edk2-aarch64-code.fd")
    assert cloud_boot.firmware("aarch64", str(program)) == beside
    assert cloud_boot.firmware("x86_64", str(program)) is None
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(PreconditionError, match="qemu-system-x86_64 is not installed"):
        proc.require_tool("qemu-system-x86_64")


def test_the_first_boot_is_the_trial(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration, "remembered", lambda *args: None)
    monkeypatch.setattr(acceleration, "candidates", lambda: ("kvm",))
    monkeypatch.setattr(cloud_boot, "HOST_ARCH", "x86_64")
    assert cloud_boot.accelerators(lab, spec_of("x"), "qemu") == ["kvm", "tcg"]
    assert cloud_boot.accelerators(lab, spec_of("x", accel="tcg"), "qemu") == ["tcg"]
    assert cloud_boot.accelerators(lab, MachineSpec(arch="aarch64"), "qemu") == ["tcg"]


def test_where_nothing_can_be_baked_debian_s_own_image_is_taken(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr(golden, "image_spec", lambda lab, spec: spec)
    monkeypatch.setattr(cloud_convert, "ensure", lambda lab, spec, wanted: taken.append("cloud"))
    monkeypatch.setattr(image, "bake", lambda lab, wanted: taken.append("bake"))
    for can, source in ((True, ""), (False, ""), (True, "x.qcow2")):
        monkeypatch.setattr(golden, "can_bake", lambda can=can: can)
        golden.ensure(lab, MachineSpec(arch="x86_64", source=source))
    assert taken == ["bake", "cloud", "cloud"]


@pytest.mark.parametrize(("name", "refused"), [("debian", False), ("ubuntu", True), ('"fedora"', True), ("", True)])
def test_golden_machines_are_made_of_debian(name: str, refused: bool) -> None:
    text = f'PRETTY_NAME="Somebody\'s Linux 24.04"\nID={name}\n# a comment\n'
    with pytest.raises(PreconditionError, match="Somebody's Linux") if refused else contextlib.nullcontext():
        cloud_convert._need_debian(text)


@pytest.mark.parametrize("url", ["http://[", "http://x y/", "http://h:port/"])
def test_an_address_that_is_none_is_not_tried_again(url: str) -> None:
    with pytest.raises(PreconditionError, match="not an HTTP address"):
        download.length(url, Deadline.after(5))


@pytest.mark.parametrize(
    ("release", "dep"),
    [("../../../../escaped", ""), ("6.1 x", ""), ("", ""), ("6.1", "../../../../escaped/virtio_blk.ko:\n")],
)
def test_an_image_that_names_a_place_outside_is_refused(tmp_path: Path, release: str, dep: str) -> None:
    """What an image of somebody else calls its kernel and its drivers becomes paths here."""
    names = {"modules.dep": dep, "status": "", f"vmlinuz-{release}": ""}

    class Link:
        def run(self, argv: list[str], *_: object, **__: object) -> proc.Result:
            return proc.Result(argv=tuple(argv), code=0, stdout=release.encode(), stderr=b"")

        def get(self, source: str, target: Path, *_: object, **__: object) -> None:
            target.write_text(names[source.rpartition("/")[2]])

    tree = tmp_path / "a/b/c/d/e/tree"
    with pytest.raises(ProvisioningError, match=r"invalid kernel release|outside its modules folder"):
        cloud_convert._fetch(Link(), tree, Deadline.after(10))  # type: ignore[arg-type]  # the two calls it makes
    assert not list(tmp_path.rglob("escaped*"))
