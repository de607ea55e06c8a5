"""libvirt where no init system starts it: both daemons, as systemd would run them, until a signal.

`python -m tests.libvirtd` for a container or a bare machine. Two things that an init system sees to are seen to here:
whoever is left without a parent is buried at once (libvirt waits for that after each QEMU that it asks what it can do),
and a /dev/kvm that only root may open is hidden (libvirt, which runs QEMU as somebody else, would ask again each time).
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
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


def _hide_kvm() -> None:
    """Go on in a mount namespace whose /dev is the same but for that one device."""
    if not KVM.exists() or KVM.stat().st_mode & 0o060:
        return
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: str, kind: str | None, flags: int) -> None:
        if libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, flags, None):
            raise OSError(ctypes.get_errno(), f"cannot mount {target}")

    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "cannot make a mount namespace")
    mount("none", "/", None, MS_REC_PRIVATE)
    with tempfile.TemporaryDirectory() as folder:
        mount("/dev", folder, None, MS_BIND | MS_REC)
        # not below the new one: libvirt would look for the mounts in it
        libc.umount2(b"/dev", MNT_DETACH)
        mount("tmpfs", "/dev", "tmpfs", 0)
        os.umask(0)
        _copy_devices(Path(folder), Path("/dev"), mount)
        libc.umount2(folder.encode(), MNT_DETACH)


def _copy_devices(old: Path, new: Path, mount: Callable[[str, str, str | None, int], None]) -> None:
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
    _hide_kvm()
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
