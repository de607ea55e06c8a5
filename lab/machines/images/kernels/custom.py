"""A kernel of the user's own under an image's disk: checked before anything starts, kept in the cache by its content.

In the cache lie the file that QEMU starts, an archive with the drivers that the initial RAM disk loads, and its modules
as a read-only disk, which the machine's init lays at /usr/lib/modules/VERSION: there modprobe works as ever.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.machines.images import seal as image_seal
from lab.machines.images.kernels import file as kernel_file
from lab.machines.images.kernels.file import KernelFile
from lab.machines.vm import initrd
from lab.machines.vm.disks import MODULES_SERIAL
from lab.model.errors import ConfigError, LabError, PreconditionError, ProvisioningError, UsageError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Finding, MachineSpec
from lab.system import ext4, locks, proc
from lab.system.wait import Deadline

KERNEL: Final = "kernel"
DRIVERS: Final = "drivers.cpio"
DISK: Final = "modules.ext4"
WORK_PREFIX: Final = "making-"
MAKE_S: Final = 300.0
ID_DIGITS: Final = 16
SPARE_KIB: Final = 4096
REQUIRED: Final = ("virtio_pci", "virtio_blk", "ext4", "virtio_net", "virtio_console")
"""Without the first three there is no disk, without the fourth no SSH, without the last no sign of life."""
NO_BTF: Final = "without BTF (CONFIG_DEBUG_INFO_BTF): no eBPF form and no bpftrace with types; other forms work"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKernel:
    """A kernel in the cache. `disk` is None where everything that is needed is built in."""

    digest: str  # of the kernel's and the modules' content
    release: str
    directory: Path
    disk: Path | None

    @property
    def kernel(self) -> Path:
        return self.directory / KERNEL

    @property
    def drivers(self) -> Path:
        return self.directory / DRIVERS


def check(spec: MachineSpec) -> Finding:
    """What would keep the machine from starting with this kernel, found by reading files alone. Changes nothing."""
    try:
        found, _ = _read(spec)
    except LabError as error:
        return Finding(name="kernel", verdict="fail", message=error.message, fix=error.fix)
    if found.btf is False:
        fix = "build it with CONFIG_DEBUG_INFO_BTF=y"
        return Finding(name="kernel", verdict="warn", message=f"{found.release} is {NO_BTF}", fix=fix)
    return Finding(name="kernel", verdict="ok", message=f"{found.release} ({found.form})")


def prepare(lab: Lab, spec: MachineSpec) -> OwnKernel:
    """The kernel of `spec`, in the cache. Idempotent; one that is there is checked by its seal.

    Raises ConfigError, PreconditionError, UsageError (see `check`), ProvisioningError, SecurityStop, Locked.
    """
    found, modules = _read(spec)
    digest = digest_of(found, modules)
    directory = lab.paths.kernels / digest[:ID_DIGITS]
    if not directory.is_dir():
        deadline = Deadline.after(MAKE_S, lab.cancel)
        with locks.hold(lab.paths.locks / f"kernel-{digest[:ID_DIGITS]}", what="a kernel", deadline=deadline):
            if not directory.is_dir():
                with lab.bus.step("kernel", f"kernel {found.release} and its modules"):
                    _make(lab, found, modules, directory, deadline)
    image_seal.check(directory)
    directory.touch()  # the date of its last use: `lab cache prune` goes by it
    disk = directory / DISK
    return OwnKernel(digest=digest, release=found.release, directory=directory, disk=disk if disk.exists() else None)


def digest_of(found: KernelFile, modules: Path | None) -> str:
    """SHA-256 over the kernel and every module file by name and content."""
    total = hashlib.sha256(hashlib.sha256(found.start).digest())
    for path in _files(modules) if modules is not None else ():
        total.update(f"{path.relative_to(str(modules)).as_posix()}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _read(spec: MachineSpec) -> tuple[KernelFile, Path | None]:
    if not spec.kernel:
        raise UsageError("modules without their kernel", fix="add --kernel FILE")
    found = kernel_file.read(Path(spec.kernel), spec.arch)
    modules = Path(spec.modules) if spec.modules else None
    if modules is not None:
        _check_release(modules, found.release)
    _check_drivers(found, modules)
    return found, modules


def _check_release(modules: Path, release: str) -> None:
    """The modules are this kernel's: by what one of them says, or by their folder's name where there is none."""
    if not modules.is_dir():
        raise ConfigError(f"{modules} is no folder", fix=f"--modules takes the folder lib/modules/{release}")
    inner = [modules / place / release for place in ("", "lib/modules", "usr/lib/modules")]
    first = next((path for path in _files(modules) if initrd.MODULE_SUFFIX.search(path.name)), None)
    deeper = next((path for path in inner if path.is_dir()), None)
    if deeper is not None:
        raise ConfigError(f"{modules} is not the folder of one kernel's modules", fix=f"--modules {deeper}")
    theirs = modules.name if first is None else _version_of(first)
    if theirs != release:
        message = f"{modules} holds modules of {theirs}, the kernel is {release}"
        raise PreconditionError(message, fix=f"--modules takes the folder lib/modules/{release}")


def _version_of(module: Path) -> str:
    """The kernel that a module was built for, from its own words."""
    _, _, after = initrd.read_module(module).partition(b"vermagic=")
    return after.split(b"\0")[0].decode("ascii", "replace").partition(" ")[0]


def _check_drivers(found: KernelFile, modules: Path | None) -> None:
    """Every driver that a start needs is there, as a module or built in."""
    loadable = {initrd.module_name(path.name) for path in _files(modules) if initrd.MODULE_SUFFIX.search(path.name)}
    missing = [name for name in REQUIRED if name not in loadable and not found.names(name)]
    if not missing:
        return
    names = ", ".join(missing)
    if modules is None:
        message = f"kernel {found.release} has {names} not built in"
        raise PreconditionError(message, fix=f"add --modules DIR, its folder lib/modules/{found.release}")
    message = f"kernel {found.release} has {names} neither built in nor in {modules}"
    options = " ".join(f"CONFIG_{OPTIONS.get(name, name.upper())}" for name in missing)
    raise PreconditionError(message, fix=f"build it with {options} as y or m")


OPTIONS: Final = {"ext4": "EXT4_FS"}


def _files(modules: Path | None) -> Iterator[Path]:
    """Regular files below `modules`, in order, without what links to the sources."""
    if modules is None:
        return
    for folder, folders, names in os.walk(modules):
        folders[:] = sorted(folders)
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path


def _make(lab: Lab, found: KernelFile, modules: Path | None, directory: Path, deadline: Deadline) -> None:
    """Make it beside and publish it by rename. What an earlier, killed maker left is removed first."""
    work = directory.with_name(f"{WORK_PREFIX}{directory.name}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, mode=0o700)
    (work / KERNEL).write_bytes(found.start)
    names, loaded = [KERNEL, DRIVERS], {}
    if modules is not None:
        tree = work / "tree/lib/modules" / found.release
        _copy(modules, tree)
        _with_dependencies(work / "tree", found.release, deadline)
        loaded = initrd.drivers(tree)
        size_kib = ext4.needed_kib(tree, SPARE_KIB)
        ext4.make_read_only(tree, work / DISK, label=MODULES_SERIAL, size_kib=size_kib, deadline=deadline)
        names.append(DISK)
        shutil.rmtree(work / "tree")
    else:
        lab.bus.emit(Notice(level="info", text="no --modules: only what is built into the kernel will be there"))
    (work / DRIVERS).write_bytes(initrd.archive(initrd.tree_entries(loaded)))
    image_seal.seal(work, tuple(names), {"release": found.release, "form": found.form, "btf": found.btf})
    work.rename(directory)


def _copy(modules: Path, tree: Path) -> None:
    for path in _files(modules):
        target = tree / path.relative_to(modules)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _with_dependencies(root: Path, release: str, deadline: Deadline) -> None:
    """modprobe's tables, which a package makes only when it is installed."""
    if (root / "lib/modules" / release / "modules.dep").exists():
        return
    argv = [proc.require_tool("depmod"), "-b", str(root), release]
    proc.check(argv, deadline=deadline, error=ProvisioningError, fix="run depmod over the folder, then name it again")
