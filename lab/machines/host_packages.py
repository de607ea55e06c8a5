"""What this host needs to make and run machines: data for `lab doctor` and, on Debian, for `lab doctor --install`.

A host that cannot unpack Debian packages (no Linux, no root, another distribution) turns a cloud image golden in a
boot, and copies what forms need into the machine: it needs QEMU and an SSH client, and nothing of the rest.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.machines.images import golden
from lab.model.machine import HOST_ARCH, Arch, Finding
from lab.system import places, proc


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPackage:
    """A package, the command of it that we run, and what for."""

    package: str
    command: str
    why: str
    others: tuple[str, ...] = ()  # commands of other packages that serve as well

    @property
    def present(self) -> bool:
        return any(proc.which(name) is not None for name in (self.command, *self.others))


CLANGS: Final = tuple(f"clang-{version}" for version in range(14, 20))
STRIPS: Final = tuple(f"llvm-strip-{version}" for version in range(14, 20))
EVERYWHERE: Final = (
    HostPackage(package="qemu-utils", command="qemu-img", why="makes each machine's own disk over the shared image"),
    HostPackage(package="openssh-client", command="ssh", why="`lab ssh`, and Ansible for machines we did not make"),
)
COMPILING: Final = (  # on Linux; other hosts build in the machine where its processor is a real one
    HostPackage(package="clang", command="clang", why="compiles the agent's BPF objects", others=CLANGS),
    HostPackage(package="llvm", command="llvm-strip", why="strips the agent's BPF objects", others=STRIPS),
)
BAKING: Final = (
    HostPackage(package="mmdebstrap", command="mmdebstrap", why="makes the image's Debian tree"),
    HostPackage(package="e2fsprogs", command="mke2fs", why="makes disks from trees without mounting them"),
    HostPackage(package="util-linux", command="unshare", why="keeps image making away from this host's kernel"),
    HostPackage(package="util-linux", command="setpriv", why="ends image making when lab is killed"),
    HostPackage(package="mount", command="mount", why="gives the image's tree its own /proc"),
    HostPackage(package="coreutils", command="chroot", why="runs the playbook inside the image's tree"),
    HostPackage(package="apt", command="apt-get", why="knows where Debian packages come from"),
    HostPackage(package="zstd", command="zstd", why="unpacks kernels and modules of newer Debian releases"),
    HostPackage(package="lz4", command="lz4", why="unpacks the kernel of Debian 12"),
    HostPackage(package="kmod", command="depmod", why="orders the modules of a kernel of your own"),
)
MACHINE_PACKAGES: Final[dict[Arch, HostPackage]] = {
    "x86_64": HostPackage(package="qemu-system-x86", command="qemu-system-x86_64", why="runs the machine"),
    "aarch64": HostPackage(package="qemu-system-arm", command="qemu-system-aarch64", why="runs the machine"),
}
BINFMT: Final = Path("/proc/sys/fs/binfmt_misc")


def needed(arch: Arch) -> tuple[HostPackage, ...]:
    """All for machines of that kind; to bake one of another than this host's, its programs are run here too."""
    compiling = COMPILING if golden.PLATFORM == "linux" else ()
    if not golden.may_bake():
        return (*EVERYWHERE, *compiling, MACHINE_PACKAGES[arch])
    foreign = (
        HostPackage(
            package="qemu-user-static",
            command=f"qemu-{arch}-static",
            why=f"runs {arch} programs while the image is made",
        ),
        HostPackage(
            package="binfmt-support",
            command="update-binfmts",
            why=f"tells this host's kernel what runs {arch} programs",
        ),
        HostPackage(package="arch-test", command="arch-test", why="lets mmdebstrap see that they run"),
    )
    return (*EVERYWHERE, *compiling, *BAKING, MACHINE_PACKAGES[arch], *(() if arch == HOST_ARCH else foreign))


def runs_foreign(arch: Arch) -> bool:
    """Whether this kernel hands programs of that kind to their emulator, in any root file system."""
    try:
        said = (BINFMT / f"qemu-{arch}").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    flags = next((line for line in said if line.startswith("flags:")), "")
    return "enabled" in said and "F" in flags


def enable_argv(arch: Arch) -> list[str]:
    return ["update-binfmts", "--enable", f"qemu-{arch}"]


def check_host(arch: Arch) -> list[Finding]:
    """One finding per package that lacks its command, or one that all are there. Changes nothing."""
    wanted = needed(arch)
    missing = [one for one in wanted if not one.present]
    if not missing and arch != HOST_ARCH and golden.may_bake() and not runs_foreign(arch):
        message = f"this host's kernel does not run {arch} programs (no qemu-{arch} with flag F in {BINFMT})"
        fix = shlex.join(enable_argv(arch))
        return [Finding(name="host-packages.binfmt", verdict="fail", message=message, fix=fix)]
    if not missing:
        return [Finding(name="host-packages", verdict="ok", message=f"{len(wanted)} tools present")]
    return [
        Finding(
            name=f"host-packages.{one.command}",
            verdict="fail",
            message=f"{one.command} is not installed; it {one.why}",
            fix=f"apt-get install {one.package}" if proc.which("apt-get") else places.fix(one.command),
            data={"package": one.package, "command": one.command},
        )
        for one in missing
    ]
