"""A Vagrant box as its makers publish them: plain Debian that starts by its own loader, with Vagrant's usual user.

Made with none of our playbooks; the packages that the playbook wants are in it, so that no test needs the internet from
a machine. `python -m tests.debian_box` makes it and prints its path and digest.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import Final

import yaml

from lab.machines import apt
from lab.system import locks
from lab.system.wait import Deadline
from tests.support import ROOT, test_home

SUITE: Final = "bookworm"
PACKAGES: Final = ("dbus", "linux-image-amd64", "openssh-server", "sudo", "systemd-sysv", "udev")
USER: Final = "vagrant"
# The key that every box lets in until Vagrant has replaced it, as Vagrant itself ships it.
KEY_PLACES: Final = ("/usr/share/rubygems-integration/all/gems", "/opt/vagrant/embedded/gems")
SECTOR: Final = 512
FIRST: Final = 2048  # sectors before the partition: the loader lives there
ROOT_MIB: Final = 4096
GRUB: Final = Path("/usr/lib/grub/i386-pc")
GRUB_MODULES: Final = ("biosdisk", "part_msdos", "ext2", "linux", "normal", "boot", "echo")
GRUB_CONFIG: Final = """set root=(hd0,msdos1)
linux /vmlinuz root=/dev/vda1 ro net.ifnames=0 quiet
initrd /initrd.img
boot
"""
NETWORK: Final = "[Match]\nName=e*\n[Network]\nDHCP=yes\n"
# $1 is the tree, $2 the public key
CUSTOMIZE: Final = f"""set -eu
chroot "$1" useradd --create-home --shell /bin/bash {USER}
echo '{USER} ALL=(ALL) NOPASSWD: ALL' > "$1/etc/sudoers.d/{USER}"
chmod 0440 "$1/etc/sudoers.d/{USER}"
mkdir -m 0700 "$1/home/{USER}/.ssh"
cp "$2" "$1/home/{USER}/.ssh/authorized_keys"
chroot "$1" chown -R {USER}: /home/{USER}/.ssh
echo debian > "$1/etc/hostname"
printf '127.0.0.1 localhost debian\\n' > "$1/etc/hosts"
printf '/dev/vda1 / ext4 defaults 0 1\\n' > "$1/etc/fstab"
printf '%s' '{NETWORK}' > "$1/etc/systemd/network/10-lan.network"
chroot "$1" systemctl enable systemd-networkd ssh
: > "$1/etc/machine-id"
test -e "$1/vmlinuz" -a -e "$1/initrd.img"
"""
MAKE_S: Final = 1200.0


def box() -> tuple[Path, str]:
    """The cached box and its "sha256:HEX"; made here (about four minutes) when its inputs are new."""
    packages = sorted({*PACKAGES, *wanted()})
    told = "\0".join((SUITE, *packages, CUSTOMIZE, GRUB_CONFIG, *apt.sources(SUITE), *apt.settings()))
    folder = test_home() / "cache/debian-box" / hashlib.sha256(told.encode()).hexdigest()[:16]
    with locks.hold(folder.with_suffix(".lock"), what="the Debian box", deadline=Deadline.after(MAKE_S)):
        if not (folder / "digest").exists():
            _make(folder, packages)
    return folder / "debian.box", (folder / "digest").read_text()


def wanted() -> list[str]:
    """Packages that the playbook puts onto a machine."""
    groups = yaml.safe_load((ROOT / "playbooks/packages.yml").read_text())["packages"]
    return list(groups["machine"])


def insecure_key() -> Path:
    return next(path for place in KEY_PLACES for path in Path(place).glob("vagrant-*/keys/vagrant.pub"))


def _make(folder: Path, packages: list[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tree, disk = folder / "tree", folder / "disk.raw"
    (folder / "customize").write_text(CUSTOMIZE)
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    argv += ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}", "--skip=check/qemu"]
    argv += [f"--aptopt={option}" for option in ('APT::Install-Recommends "false";', *apt.settings())]
    argv += ["--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*"]
    argv += [f'--customize-hook=sh "{folder / "customize"}" "$1" "{insecure_key()}"']
    done = subprocess.run([*argv, SUITE, str(tree), *apt.sources(SUITE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    offset = FIRST * SECTOR
    with disk.open("wb") as file:
        file.truncate(offset + (ROOT_MIB << 20))
        file.write(loader(folder, GRUB_CONFIG))
    mke2fs = ["mke2fs", "-q", "-t", "ext4", "-E", f"offset={offset}", "-d", str(tree), str(disk), f"{ROOT_MIB}M"]
    subprocess.run(mke2fs, check=True)
    shutil.rmtree(tree)
    image = folder / "box.img"
    convert = ["qemu-img", "convert", "-c", "-m", "2", "-O", "qcow2", "-o", "compression_type=zstd"]
    subprocess.run([*convert, str(disk), str(image)], check=True)
    disk.unlink()
    metadata = json.dumps({"provider": "libvirt", "format": "qcow2", "virtual_size": 1 + ROOT_MIB // 1024}).encode()
    path = folder / "debian.box"
    with tarfile.open(path, "w") as tar:
        about = tarfile.TarInfo("metadata.json")
        about.size = len(metadata)
        tar.addfile(about, io.BytesIO(metadata))
        tar.add(image, "box.img")
    image.unlink()
    with path.open("rb") as file:
        (folder / "digest").write_text("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())


def loader(folder: Path, config: str) -> bytes:
    """GRUB before the only partition: the boot sector with the partition table, then its core."""
    (folder / "early.cfg").write_text(config)
    core = folder / "core.img"
    argv = ["grub-mkimage", "-O", "i386-pc", "-p", "/", "-c", str(folder / "early.cfg"), "-o", str(core)]
    subprocess.run([*argv, *GRUB_MODULES], check=True)
    # status, CHS of begin and end (unused), type Linux, first sector, sectors
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", FIRST, ROOT_MIB * 2048)
    sector = (GRUB / "boot.img").read_bytes()[:440] + bytes(6) + entry + bytes(48) + b"\x55\xaa"
    made = sector + core.read_bytes()
    assert len(made) <= FIRST * SECTOR
    return made


if __name__ == "__main__":
    print(*box())
