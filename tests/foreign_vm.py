"""A Linux machine that is somebody else's: plain Debian, made with none of our playbooks, in a QEMU of its own.

For whatever must work on a machine that `lab` did not bake. `python -m tests.foreign_vm FOLDER` makes one to play with:
it writes FOLDER/config (for `ssh -F`) and runs until Ctrl-C.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.system import locks
from lab.system.wait import Deadline
from tests import debian_disk
from tests.contract.sshd import free_port
from tests.support import test_home

USER: Final = "friend"
PACKAGES: Final = (
    "ca-certificates",
    "dbus",
    "kmod",
    "linux-image-cloud-amd64",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd-sysv",
    "udev",
)
DISK_MIB: Final = 6144
NETWORK: Final = "[Match]\nName=e*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\nDNS=10.0.2.3\n"
# $1 is the tree. An owner's ordinary machine: a user who may become root, sshd, a fixed address.
CUSTOMIZE: Final = f"""set -eu
chroot "$1" useradd --create-home --shell /bin/bash {USER}
echo '{USER} ALL=(ALL) NOPASSWD: ALL' > "$1/etc/sudoers.d/{USER}"
chmod 0440 "$1/etc/sudoers.d/{USER}"
mkdir -m 0700 "$1/home/{USER}/.ssh"
cp "$2" "$1/home/{USER}/.ssh/authorized_keys"
chroot "$1" chown -R {USER}: /home/{USER}/.ssh
echo foreign > "$1/etc/hostname"
printf '127.0.0.1 localhost foreign\\n' > "$1/etc/hosts"
printf '%s' '{NETWORK}' > "$1/etc/systemd/network/10-lan.network"
rm -f "$1/etc/resolv.conf"
echo nameserver 10.0.2.3 > "$1/etc/resolv.conf"
chroot "$1" systemctl enable systemd-networkd ssh
: > "$1/etc/machine-id"
"""
KERNEL_ARGS: Final = "root=/dev/vda rw console=ttyS0 net.ifnames=0 panic=-1 quiet"
MAKE_S: Final = 900.0
BOOT_S: Final = 420.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """What a machine starts from, made once per content. `key`: the private key that lets USER in."""

    root: Path
    kernel: Path
    initrd: Path
    key: Path
    host_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A running one. `config`: an OpenSSH config in which its name is `colleague` and its host key is known."""

    port: int
    key: Path
    host_key: str
    config: Path
    serial: Path
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"{USER}@127.0.0.1:{self.port}"

    def run(self, *argv: str, limit_s: float = 120) -> str:
        """One command there as its user, by plain OpenSSH; its standard output."""
        line = ["ssh", "-F", str(self.config), "colleague", *argv]
        return subprocess.run(line, check=True, capture_output=True, text=True, timeout=limit_s).stdout


def disk() -> Disk:
    """The cached disk; made here (about two minutes) when its inputs are new."""
    folder = test_home() / "cache/foreign" / debian_disk.inputs(*PACKAGES, str(DISK_MIB), CUSTOMIZE)
    with locks.hold(folder.with_suffix(".lock"), what="the foreign disk", deadline=Deadline.after(MAKE_S)):
        if not (folder / "whole").exists():
            _make(folder)
    return Disk(
        root=folder / "root.ext4",
        kernel=folder / "vmlinuz",
        initrd=folder / "initrd.img",
        key=folder / "key",
        host_key=" ".join((folder / "host_key.pub").read_text().split()[:2]),
    )


def _make(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    tree = debian_disk.tree(folder, PACKAGES, CUSTOMIZE, folder / "key.pub")
    for name, pattern in (("vmlinuz", "vmlinuz-*"), ("initrd.img", "initrd.img-*")):
        shutil.copyfile(next((tree / "boot").glob(pattern)), folder / name)
    shutil.copyfile(tree / "etc/ssh/ssh_host_ed25519_key.pub", folder / "host_key.pub")
    mke2fs = ["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(folder / "root.ext4"), f"{DISK_MIB}M"]
    subprocess.run(mke2fs, check=True)
    shutil.rmtree(tree)
    (folder / "whole").touch()


@contextmanager
def running(work: Path, *, memory_mib: int = 2048, overlay: Path | None = None) -> Iterator[Foreign]:
    """Boot one whose disk changes live in `work`, so that a second start there sees them; it ends with the block."""
    made = disk()
    work.mkdir(parents=True, exist_ok=True)
    layer = overlay or work / "disk.qcow2"
    if not layer.exists():
        base = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(made.root), "-F", "raw", str(layer)]
        subprocess.run(base, check=True)
    port, serial = free_port(), work / "serial.log"
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35"]
    argv += ["-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2", "-m", f"{memory_mib}M"]
    argv += ["-kernel", str(made.kernel), "-initrd", str(made.initrd), "-append", KERNEL_ARGS, "-no-reboot"]
    argv += ["-drive", f"if=virtio,format=qcow2,cache=unsafe,file={layer}", "-device", "virtio-rng-pci"]
    argv += ["-netdev", f"user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:{port}-:22"]
    argv += ["-device", "virtio-net-pci,netdev=net,romfile=", "-serial", f"file:{serial}"]
    with (work / "qemu.log").open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log)
    try:
        _wait(port, process, work)
        yield Foreign(
            port=port, key=made.key, host_key=made.host_key, config=_config(work, port, made), serial=serial,
            process=process,
        )  # fmt: skip
    finally:
        process.terminate()
        process.wait(30)


def _wait(port: int, process: subprocess.Popen[bytes], work: Path) -> None:
    ends = time.monotonic() + BOOT_S
    while time.monotonic() < ends:
        assert process.poll() is None, (work / "qemu.log").read_text()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                if sock.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError("no SSH there:\n" + (work / "serial.log").read_text(errors="replace")[-3000:])


def _config(work: Path, port: int, made: Disk) -> Path:
    known = work / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {made.host_key}\n")
    config = work / "config"
    config.write_text(
        f"Host colleague 127.0.0.1\n  HostName 127.0.0.1\n  Port {port}\n  User {USER}\n  IdentityFile {made.key}\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {known}\n  GlobalKnownHostsFile none\n"
        "  StrictHostKeyChecking yes\n  LogLevel ERROR\n"
    )
    return config


def main(work: Path) -> None:
    """Until a signal."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    began = time.monotonic()
    with running(work) as found:
        print(f"{found.address} after {time.monotonic() - began:.1f} s; ssh -F {found.config} colleague", flush=True)
        while not stop.wait(1) and found.process.poll() is None:
            pass


if __name__ == "__main__":
    main(Path(sys.argv[1]))


def known_to_ssh(running: Foreign, folder: Path) -> str:
    """A PATH in which `ssh` knows the machine as `colleague`, as its borrower has it in a config of their own."""
    program = folder / "ssh"
    folder.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {running.config} "$@"\n')
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
