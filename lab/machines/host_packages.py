"""What this host needs to build and run machines: data for `lab doctor` and, on Debian, for `lab doctor --install`.

A host that cannot unpack Debian packages (not Linux, not root, another distribution) converts a cloud image by booting
it once, and copies what forms need into the machine: it needs only QEMU and an SSH client.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.machines.images import golden
from lab.model.machine import HOST_ARCH, Arch, Finding
from lab.system import proc, tool_paths


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPackage:
    """A package, its command that lab runs, and the purpose."""

    package: str
    command: str
    why: str
    others: tuple[str, ...] = ()  # equivalent commands of other packages

    @property
    def present(self) -> bool:
        return any(proc.which(name) is not None for name in (self.command, *self.others))


CLANGS: Final = tuple(f"clang-{version}" for version in range(14, 20))
STRIPS: Final = tuple(f"llvm-strip-{version}" for version in range(14, 20))
EVERYWHERE: Final = (
    HostPackage(package="qemu-utils", command="qemu-img", why="creates each machine's disk as an overlay of the image"),
    HostPackage(package="openssh-client", command="ssh", why="serves `lab ssh`, and Ansible on remote machines"),
)
COMPILING: Final = (  # on Linux; other hosts build in the machine where its processor is a real one
    HostPackage(package="clang", command="clang", why="compiles the agent's BPF objects", others=CLANGS),
    HostPackage(package="llvm", command="llvm-strip", why="strips the agent's BPF objects", others=STRIPS),
)
BAKING: Final = (
    HostPackage(package="mmdebstrap", command="mmdebstrap", why="installs Debian packages into the image"),
    HostPackage(package="e2fsprogs", command="mke2fs", why="writes file systems without mounting them"),
    HostPackage(package="util-linux", command="unshare", why="isolates the image build in its own namespaces"),
    HostPackage(package="util-linux", command="setpriv", why="ends the image build when lab is killed"),
    HostPackage(package="mount", command="mount", why="mounts /proc inside the image"),
    HostPackage(package="coreutils", command="chroot", why="runs the playbook inside the image"),
    HostPackage(package="apt", command="apt-get", why="provides this host's package sources"),
    HostPackage(package="zstd", command="zstd", why="unpacks kernels and modules of newer Debian releases"),
    HostPackage(package="lz4", command="lz4", why="unpacks the kernel of Debian 12"),
    HostPackage(package="kmod", command="depmod", why="computes the module dependencies of a custom kernel"),
)
MACHINE_PACKAGES: Final[dict[Arch, HostPackage]] = {
    "x86_64": HostPackage(package="qemu-system-x86", command="qemu-system-x86_64", why="runs the machine"),
    "aarch64": HostPackage(package="qemu-system-arm", command="qemu-system-aarch64", why="runs the machine"),
}
BINFMT: Final = Path("/proc/sys/fs/binfmt_misc")


def needed(arch: Arch) -> tuple[HostPackage, ...]:
    """All packages for machines of that architecture; building a foreign image runs its programs on this host too."""
    compiling = COMPILING if golden.PLATFORM == "linux" else ()
    if not golden.may_bake():
        return (*EVERYWHERE, *compiling, MACHINE_PACKAGES[arch])
    foreign = (
        HostPackage(
            package="qemu-user-static",
            command=f"qemu-{arch}-static",
            why=f"runs {arch} programs during the image build",
        ),
        HostPackage(
            package="binfmt-support",
            command="update-binfmts",
            why=f"registers the emulator for {arch} programs with this host's kernel",
        ),
        HostPackage(package="arch-test", command="arch-test", why=f"tells mmdebstrap whether {arch} programs run"),
    )
    return (*EVERYWHERE, *compiling, *BAKING, MACHINE_PACKAGES[arch], *(() if arch == HOST_ARCH else foreign))


def runs_foreign(arch: Arch) -> bool:
    """Whether this kernel runs programs of that architecture by their emulator, in any root file system."""
    try:
        state = (BINFMT / f"qemu-{arch}").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    flags = next((line for line in state if line.startswith("flags:")), "")
    return "enabled" in state and "F" in flags


def enable_argv(arch: Arch) -> list[str]:
    return ["update-binfmts", "--enable", f"qemu-{arch}"]


def check_host(arch: Arch) -> list[Finding]:
    """One finding per missing command, or one finding that all are installed. Changes nothing."""
    wanted = needed(arch)
    missing = [one for one in wanted if not one.present]
    if not missing and arch != HOST_ARCH and golden.may_bake() and not runs_foreign(arch):
        message = f"this host's kernel does not run {arch} programs (no qemu-{arch} with flag F in {BINFMT})"
        fix = shlex.join(enable_argv(arch))
        return [Finding(name="host-packages.binfmt", verdict="fail", message=message, fix=fix)]
    if not missing:
        return [Finding(name="host-packages", verdict="ok", message=f"all {len(wanted)} tools are installed")]
    return [
        Finding(
            name=f"host-packages.{one.command}",
            verdict="fail",
            message=f"{one.command} is not installed; it {one.why}",
            fix=f"apt-get install {one.package}" if proc.which("apt-get") else tool_paths.fix(one.command),
            data={"package": one.package, "command": one.command},
        )
        for one in missing
    ]
