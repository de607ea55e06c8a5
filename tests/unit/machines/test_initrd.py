"""Archives are read back by a reader written from the format's description; tier vm shows that the kernel agrees."""

from __future__ import annotations

import lzma
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.machines.vm import initrd
from lab.model.errors import ProvisioningError
from lab.model.machine import Seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    mode: int
    data: bytes


def read_archive(data: bytes) -> tuple[dict[str, Member], int]:
    """Members by name in order, and where the archive ends. Every field of the 110-byte header is hexadecimal."""
    members: dict[str, Member] = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701", f"no magic at {at}"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, name_size = fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        body = at + 110 + name_size + (-(110 + name_size) % 4)
        at = body + size + (-size % 4)
        if name == "TRAILER!!!":
            return members, at
        assert fields[2] == fields[3] == 0, f"{name} is not root's"
        assert name not in members, f"{name} twice"
        members[name] = Member(mode=fields[1], data=data[body : body + size])


def make_seed(tmp_path: Path) -> Seed:
    private = tmp_path / "host"
    private.write_text("host secret\n")
    return Seed(
        machine_id="0123456789abcdef0123456789abcdef",
        host_key_private=private,
        host_key_public="ssh-ed25519 AAAAhost lab",
        user_key_private=tmp_path / "user",
        user_key_public="ssh-ed25519 AAAAuser lab\n",
    )


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 511, 512, 513])
def test_a_file_comes_back_whatever_its_length(size: int) -> None:
    data = bytes(range(256)) * 3
    archive = initrd.archive(
        [initrd.Entry(path="d", mode=0o750), initrd.Entry(path="d/f", mode=0o640, data=data[:size])]
    )
    members, _ = read_archive(archive)
    assert list(members) == ["d", "d/f"]
    assert members["d"].mode == stat.S_IFDIR | 0o750
    assert members["d/f"] == Member(mode=stat.S_IFREG | 0o640, data=data[:size])


def test_a_second_archive_may_follow() -> None:
    first = initrd.archive([initrd.Entry(path="init", mode=0o755, data=b"x" * 7)])
    both = first + initrd.archive([initrd.Entry(path="seed", mode=0o755)])
    _, end = read_archive(first)
    assert len(first) % 512 == 0
    assert set(first[end:]) <= {0}
    assert list(read_archive(both[len(first) :])[0]) == ["seed"]


def test_the_same_entries_give_the_same_bytes() -> None:
    entries = initrd.tree_entries({"b/c": (0o644, b"1"), "a": (0o600, b"2")})
    assert initrd.archive(entries) == initrd.archive(entries)


def test_parents_come_once_and_before_what_is_in_them() -> None:
    paths = [
        entry.path for entry in initrd.tree_entries({"a/b/c": (0o644, b""), "a/b/d": (0o644, b""), "a/e": (0o644, b"")})
    ]
    assert paths == ["a", "a/b", "a/b/c", "a/b/d", "a/e"]


def test_a_seed_has_all_that_makes_a_machine_this_one(tmp_path: Path) -> None:
    members, _ = read_archive(initrd.seed_archive(make_seed(tmp_path), hostname="demo"))
    files = {name: member for name, member in members.items() if stat.S_ISREG(member.mode)}
    assert {name: (stat.S_IMODE(member.mode), member.data) for name, member in files.items()} == {
        "seed/etc/hostname": (0o644, b"demo\n"),
        "seed/etc/hosts": (0o644, b"127.0.0.1 localhost\n127.0.1.1 demo\n"),
        "seed/etc/machine-id": (0o444, b"0123456789abcdef0123456789abcdef\n"),
        "seed/etc/ssh/ssh_host_ed25519_key": (0o600, b"host secret\n"),
        "seed/etc/ssh/ssh_host_ed25519_key.pub": (0o644, b"ssh-ed25519 AAAAhost lab\n"),
        "seed/root/.ssh/authorized_keys": (0o600, b"ssh-ed25519 AAAAuser lab\n"),
    }
    # sshd refuses keys in a folder that others may write; ours is not even readable to them
    assert stat.S_IMODE(members["seed/root/.ssh"].mode) == 0o700
    assert stat.S_IMODE(members["seed/etc/ssh"].mode) == 0o755


def test_a_users_private_key_never_enters_the_seed(tmp_path: Path) -> None:
    seed = make_seed(tmp_path)
    seed.user_key_private.write_text("user secret")
    assert b"user secret" not in initrd.seed_archive(seed, hostname="demo")


DEP = """\
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio_pci_legacy_dev.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio_pci_legacy_dev.ko:
kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/net/virtio-net.ko.xz: kernel/drivers/virtio/virtio.ko
"""


def test_modules_load_after_what_they_need_and_once() -> None:
    order = [initrd.module_name(path) for path in initrd.load_order(DEP, ("virtio_pci", "virtio_net", "ext4"))]
    assert sorted(order) == ["virtio", "virtio_net", "virtio_pci", "virtio_pci_legacy_dev", "virtio_ring"]
    assert order.index("virtio_ring") < order.index("virtio") < order.index("virtio_pci") < order.index("virtio_net")


def test_an_initrd_holds_init_and_plain_modules(tmp_path: Path) -> None:
    modules = tmp_path / "usr/lib/modules/6.1-test"
    for name, data in {
        "virtio/virtio_pci.ko": b"pci",
        "virtio/virtio_pci_legacy_dev.ko": b"legacy",
        "virtio/virtio.ko": b"virtio",
        "virtio/virtio_ring.ko": b"ring",
        "net/virtio-net.ko.xz": lzma.compress(b"net"),
    }.items():
        path = modules / "kernel/drivers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (modules / "modules.dep").write_text(DEP)
    (tmp_path / "lab-init").write_bytes(b"\x7fELF")
    members, _ = read_archive(initrd.initrd(tmp_path, tmp_path / "lab-init"))
    assert members["init"] == Member(mode=stat.S_IFREG | 0o755, data=b"\x7fELF")
    assert sorted(member.data for name, member in members.items() if name.startswith("m/")) == [
        b"legacy",
        b"net",
        b"pci",
        b"ring",
        b"virtio",
    ]


def test_an_archive_is_read_back_as_what_it_was_made_of(tmp_path: Path) -> None:
    given = initrd.tree_entries({"m/00-a.ko": (0o644, b"abc"), "seed/x": (0o600, b""), "init": (0o755, b"12345")})
    assert initrd.entries(initrd.archive(given)) == given


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b compressed", b"070701" + b"0" * 50])
def test_what_is_no_archive_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"archive|literal"):
        initrd.entries(data)


def test_another_kernel_gets_none_of_the_images_drivers() -> None:
    shared = initrd.archive(initrd.tree_entries({"m/00-a.ko": (0o644, b"abc"), "init": (0o755, b"1")}))
    assert [entry.path for entry in initrd.entries(initrd.without_drivers(shared))] == ["init", "m"]


def test_two_kernels_in_a_tree_are_refused(tmp_path: Path) -> None:
    for version in ("6.1-a", "6.1-b"):
        folder = tmp_path / "usr/lib/modules" / version
        folder.mkdir(parents=True)
        (folder / "modules.dep").touch()
    with pytest.raises(ProvisioningError, match=r"6\.1-a, 6\.1-b"):
        initrd.kernel_modules(tmp_path)
