"""A cloud image as Debian publishes them: one disk with a partition, its own loader, cloud-init; none of our playbooks.

The packages that the playbook wants are in it, so that no test needs a mirror from a machine.
`python -m tests.debian_cloud` makes it and prints its path and digest.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Final

from lab.machines.images.image import default_packages
from lab.system import locks
from lab.system.wait import Deadline
from tests import debian_disk
from tests.debian_box import MAKE_S
from tests.support import test_home

PACKAGES: Final = ("cloud-guest-utils", "cloud-init", "sudo", "udev")
GRUB_CONFIG: Final = """set root=(hd0,msdos1)
linux /vmlinuz root=/dev/vda1 ro net.ifnames=0 console=ttyS0
initrd /initrd.img
boot
"""
# $1 is the tree
CUSTOMIZE: Final = """set -eu
echo 'datasource_list: [NoCloud, None]' > "$1/etc/cloud/cloud.cfg.d/90_dpkg.cfg"
printf '/dev/vda1 / ext4 defaults 0 1\\n' > "$1/etc/fstab"
printf '[Match]\\nName=e*\\n[Network]\\nDHCP=yes\\n' > "$1/etc/systemd/network/10-lan.network"
chroot "$1" systemctl enable systemd-networkd ssh
rm -f "$1"/etc/ssh/ssh_host_*
: > "$1/etc/machine-id"
test -e "$1/vmlinuz" -a -e "$1/initrd.img"
"""


def image() -> tuple[Path, str]:
    """The cached qcow2 disk and its "sha512:HEX"; made here (about four minutes) when its inputs are new."""
    packages = sorted({*PACKAGES, *default_packages()})
    folder = test_home() / "cache/debian-cloud" / debian_disk.inputs(*packages, CUSTOMIZE, GRUB_CONFIG)
    with locks.hold(folder.with_suffix(".lock"), what="the Debian cloud image", deadline=Deadline.after(MAKE_S)):
        if not (folder / "digest").exists():
            _make(folder, packages)
    return folder / "debian-12-cloud.qcow2", (folder / "digest").read_text()


def _make(folder: Path, packages: list[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = folder / "debian-12-cloud.qcow2"
    debian_disk.bootable(folder, debian_disk.tree(folder, packages, CUSTOMIZE), GRUB_CONFIG, made)
    with made.open("rb") as file:
        (folder / "digest").write_text("sha512:" + hashlib.file_digest(file, "sha512").hexdigest())


if __name__ == "__main__":
    print(*image())
