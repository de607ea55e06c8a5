"""A Vagrant box as its makers publish them: plain Debian that starts by its own loader, with Vagrant's usual user.

Made with none of our playbooks; the packages that the playbook wants are in it, so that no test needs the internet from
a machine. `python -m tests.debian_box` makes it and prints its path and digest.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Final

import yaml

from lab.system import locks
from lab.system.wait import Deadline
from tests import debian_disk
from tests.support import ROOT, test_home

PACKAGES: Final = ("dbus", "linux-image-amd64", "openssh-server", "sudo", "systemd-sysv", "udev")
USER: Final = "vagrant"
# The key that every box lets in until Vagrant has replaced it, as Vagrant itself ships it.
KEY_PLACES: Final = ("/usr/share/rubygems-integration/all/gems", "/opt/vagrant/embedded/gems")
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
    folder = test_home() / "cache/debian-box" / debian_disk.inputs(*packages, CUSTOMIZE, GRUB_CONFIG)
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
    image, path = folder / "box.img", folder / "debian.box"
    tree = debian_disk.tree(folder, packages, CUSTOMIZE, insecure_key())
    debian_disk.bootable(folder, tree, GRUB_CONFIG, image)
    size_gib = 1 + debian_disk.ROOT_MIB // 1024
    metadata = json.dumps({"provider": "libvirt", "format": "qcow2", "virtual_size": size_gib}).encode()
    with tarfile.open(path, "w") as tar:
        about = tarfile.TarInfo("metadata.json")
        about.size = len(metadata)
        tar.addfile(about, io.BytesIO(metadata))
        tar.add(image, "box.img")
    image.unlink()
    with path.open("rb") as file:
        (folder / "digest").write_text("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())


if __name__ == "__main__":
    print(*box())
