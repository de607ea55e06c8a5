"""libvirt where no init system starts it: both daemons, as systemd would run them, until a signal.

`python -m tests.libvirtd` for a container or a bare machine. Whoever is left without a parent is buried at once
(libvirt waits for that after each QEMU that it asks what it can do). In a mount namespace, a /dev/kvm that only root
may open is hidden (libvirt runs QEMU as somebody else, and would ask again each time), and this host's forwarding stays
as it is.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

PR_SET_CHILD_SUBREAPER: Final = 36
CLONE_NEWNS: Final = 0x00020000
MS_BIND: Final = 4096
MS_REC: Final = 16384
MS_REC_PRIVATE: Final = MS_REC | (1 << 18)
MNT_DETACH: Final = 2
DAEMONS: Final = ("virtlogd", "libvirtd")
KVM: Final = Path("/dev/kvm")
FORWARDING: Final = "/proc/sys/net/ipv4/ip_forward"


class Mounts:
    """mount(2), in a mount namespace of our own."""

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        if self.libc.unshare(CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "cannot make a mount namespace")
        self("none", "/", None, MS_REC_PRIVATE)

    def __call__(self, source: str, target: str, kind: str | None, flags: int) -> None:
        if self.libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, flags, None):
            raise OSError(ctypes.get_errno(), f"cannot mount {target}")

    def away(self, target: str) -> None:
        self.libc.umount2(target.encode(), MNT_DETACH)


def _hide_kvm(mount: Mounts) -> None:
    """The same /dev but for that one device."""
    if not KVM.exists() or KVM.stat().st_mode & 0o060:
        return
    with tempfile.TemporaryDirectory() as folder:
        mount("/dev", folder, None, MS_BIND | MS_REC)
        # not below the new one: libvirt would look for the mounts in it
        mount.away("/dev")
        mount("tmpfs", "/dev", "tmpfs", 0)
        os.umask(0)
        _copy_devices(Path(folder), Path("/dev"), mount)
        mount.away(folder)
    os.umask(0o022)


def _keep_forwarding(mount: Mounts) -> None:
    """libvirt switches forwarding on for a network with NAT: here it only believes so."""
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write("1\n")
    mount(file.name, FORWARDING, None, MS_BIND)
    Path(file.name).unlink()


def _copy_devices(old: Path, new: Path, mount: Mounts) -> None:
    for device in old.iterdir():
        seen, place = device.lstat(), new / device.name
        if device.is_symlink():
            place.symlink_to(device.readlink())
        elif device.is_mount():
            place.mkdir()
            mount(str(device), str(place), None, MS_BIND)
        elif device.is_dir():
            place.mkdir()
            _copy_devices(device, place, mount)
        elif place != KVM:
            os.mknod(place, seen.st_mode, seen.st_rdev)


def main() -> int:
    """0 after a signal, 1 when a daemon ended by itself."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    mount = Mounts()
    _hide_kvm(mount)
    _keep_forwarding(mount)
    Path("/run/libvirt").mkdir(exist_ok=True)
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    daemons = {subprocess.Popen([name], env=environment, stdin=subprocess.DEVNULL).pid: name for name in DAEMONS}
    ending = False

    def end(*_: object) -> None:
        nonlocal ending
        ending = True
        for pid in daemons:
            os.kill(pid, signal.SIGTERM)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    while daemons:
        pid, status = os.wait()
        if name := daemons.pop(pid, ""):
            print(f"{name} ended ({os.waitstatus_to_exitcode(status)})", flush=True)
            if not ending:
                end()
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
