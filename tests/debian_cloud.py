"""A cloud image as Debian publishes them: one disk with a partition, its own loader, cloud-init; none of our playbooks.

The packages that the playbook wants are in it, so that no test needs a mirror from a machine.
`python -m tests.debian_cloud` makes it and prints its path and digest.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Final

from lab.machines import apt
from lab.machines.image import default_packages
from lab.system import locks
from lab.system.wait import Deadline
from tests.debian_box import FIRST, MAKE_S, ROOT_MIB, SECTOR, SUITE, loader
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
    told = "\0".join((SUITE, *packages, CUSTOMIZE, GRUB_CONFIG, *apt.sources(SUITE), *apt.settings()))
    folder = test_home() / "cache/debian-cloud" / hashlib.sha256(told.encode()).hexdigest()[:16]
    with locks.hold(folder.with_suffix(".lock"), what="the Debian cloud image", deadline=Deadline.after(MAKE_S)):
        if not (folder / "digest").exists():
            _make(folder, packages)
    return folder / "debian-12-cloud.qcow2", (folder / "digest").read_text()


def _make(folder: Path, packages: list[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tree, disk = folder / "tree", folder / "disk.raw"
    (folder / "customize").write_text(CUSTOMIZE)
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    argv += ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}", "--skip=check/qemu"]
    argv += [f"--aptopt={option}" for option in ('APT::Install-Recommends "false";', *apt.settings())]
    argv += ["--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*"]
    argv += [f'--customize-hook=sh "{folder / "customize"}" "$1"']
    done = subprocess.run([*argv, SUITE, str(tree), *apt.sources(SUITE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    offset = FIRST * SECTOR
    with disk.open("wb") as file:
        file.truncate(offset + (ROOT_MIB << 20))
        file.write(loader(folder, GRUB_CONFIG))
    mke2fs = ["mke2fs", "-q", "-t", "ext4", "-E", f"offset={offset}", "-d", str(tree), str(disk), f"{ROOT_MIB}M"]
    subprocess.run(mke2fs, check=True)
    shutil.rmtree(tree)
    made = folder / "debian-12-cloud.qcow2"
    convert = ["qemu-img", "convert", "-c", "-m", "2", "-O", "qcow2", "-o", "compression_type=zstd"]
    subprocess.run([*convert, str(disk), str(made)], check=True)
    disk.unlink()
    with made.open("rb") as file:
        (folder / "digest").write_text("sha512:" + hashlib.file_digest(file, "sha512").hexdigest())


if __name__ == "__main__":
    print(*image())
