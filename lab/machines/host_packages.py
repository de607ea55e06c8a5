"""Debian packages that this host needs to make and run machines: data for `lab doctor` and `lab doctor --install`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab.model.machine import Finding
from lab.system import proc


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
HOST_PACKAGES: Final = (
    HostPackage(package="mmdebstrap", command="mmdebstrap", why="makes the image's Debian tree"),
    HostPackage(package="e2fsprogs", command="mke2fs", why="makes disks from trees without mounting them"),
    HostPackage(package="util-linux", command="unshare", why="keeps image making away from this host's kernel"),
    HostPackage(package="util-linux", command="setpriv", why="ends image making when lab is killed"),
    HostPackage(package="mount", command="mount", why="gives the image's tree its own /proc"),
    HostPackage(package="coreutils", command="chroot", why="runs the playbook inside the image's tree"),
    HostPackage(package="apt", command="apt-get", why="knows where Debian packages come from"),
    HostPackage(package="qemu-system-x86", command="qemu-system-x86_64", why="runs the machine"),
    HostPackage(package="qemu-utils", command="qemu-img", why="makes each machine's own disk over the shared image"),
    HostPackage(package="openssh-client", command="ssh", why="`lab ssh`, and Ansible for machines we did not make"),
    HostPackage(package="openssh-client", command="ssh-keygen", why="makes each machine's keys"),
    HostPackage(package="zstd", command="zstd", why="unpacks kernels and modules of newer Debian releases"),
    HostPackage(package="lz4", command="lz4", why="unpacks the kernel of Debian 12"),
    HostPackage(package="kmod", command="depmod", why="orders the modules of a kernel of your own"),
    HostPackage(package="clang", command="clang", why="compiles the agent's BPF objects", others=CLANGS),
    HostPackage(package="llvm", command="llvm-strip", why="strips the agent's BPF objects", others=STRIPS),
)


def check_host() -> list[Finding]:
    """One finding per package that lacks its command, or one that all are there. Changes nothing."""
    missing = [needed for needed in HOST_PACKAGES if not needed.present]
    if not missing:
        return [Finding(name="host-packages", verdict="ok", message=f"{len(HOST_PACKAGES)} tools present")]
    return [
        Finding(
            name=f"host-packages.{needed.command}",
            verdict="fail",
            message=f"{needed.command} is not installed; it {needed.why}",
            fix=f"apt-get install {needed.package}",
            data={"package": needed.package, "command": needed.command},
        )
        for needed in missing
    ]
