"""A custom kernel for an image's disk: checked before a start, cached by its content.

The cache holds the file that QEMU starts, an archive with the drivers that the initial RAM disk loads, and the modules
as a read-only disk, which the machine's init mounts at /usr/lib/modules/VERSION, where modprobe finds them.
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
from lab.machines.vm.qemu_argv import MODULES_SERIAL
from lab.model.errors import ConfigError, LabError, PreconditionError, ProvisioningError, UsageError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Finding, MachineSpec
from lab.system import ext4, locks, proc, store
from lab.system.wait import Deadline

KERNEL: Final = "kernel"
DRIVERS: Final = "drivers.cpio"
DISK: Final = "modules.ext4"
WORK_PREFIX: Final = "making-"
MAKE_S: Final = 300.0
ID_DIGITS: Final = 16
SPARE_KIB: Final = 4096
REQUIRED: Final = ("virtio_pci", "virtio_blk", "ext4", "virtio_net", "virtio_console")
"""The first three are for the disk, the fourth for SSH, the last for the heartbeat."""
NO_BTF: Final = "has no BTF (CONFIG_DEBUG_INFO_BTF): eBPF forms and bpftrace types do not work, other forms do"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKernel:
    """A kernel in the cache. `disk` is None when it was given without modules."""

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
    """Whether the machine can start with this kernel, by reading files only. Changes nothing."""
    try:
        found, _ = _read(spec)
    except LabError as error:
        return Finding(name="kernel", verdict="fail", message=error.message, fix=error.fix)
    if found.btf is False:
        fix = "build the kernel with CONFIG_DEBUG_INFO_BTF=y"
        return Finding(name="kernel", verdict="warn", message=f"{found.release} {NO_BTF}", fix=fix)
    return Finding(name="kernel", verdict="ok", message=f"{found.release} ({found.form})")


def prepare(lab: Lab, spec: MachineSpec) -> OwnKernel:
    """The kernel of `spec`, in the cache. Idempotent; a cached one is checked by its seal.

    Raises ConfigError, PreconditionError, UsageError (see `check`), ProvisioningError, SecurityStop, Locked.
    """
    found, modules = _read(spec)
    digest = digest_of(found, modules)
    directory = lab.paths.kernels / digest[:ID_DIGITS]
    if not directory.is_dir():
        deadline = Deadline.after(MAKE_S, lab.cancel)
        with locks.hold(lab.paths.locks / f"kernel-{digest[:ID_DIGITS]}", what="the kernel cache", deadline=deadline):
            if not directory.is_dir():
                with lab.bus.step("kernel", f"cache kernel {found.release} and its modules"):
                    _make(lab, found, modules, directory, deadline)
    image_seal.check(directory)
    store.mark_used(directory)
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
        raise UsageError("--modules needs --kernel", fix="add --kernel FILE")
    found = kernel_file.read(Path(spec.kernel), spec.arch)
    modules = Path(spec.modules) if spec.modules else None
    if modules is not None:
        _check_release(modules, found.release)
    _check_drivers(found, modules)
    return found, modules


def _check_release(modules: Path, release: str) -> None:
    """The modules are this kernel's: by the vermagic of one, or by the folder's name when there is none."""
    if not modules.is_dir():
        raise ConfigError(f"{modules} is not a folder", fix=f"set --modules to the folder lib/modules/{release}")
    inner = [modules / place / release for place in ("", "lib/modules", "usr/lib/modules")]
    first = next((path for path in _files(modules) if initrd.MODULE_SUFFIX.search(path.name)), None)
    deeper = next((path for path in inner if path.is_dir()), None)
    if deeper is not None:
        raise ConfigError(f"{modules} is not the modules folder of one kernel", fix=f"--modules {deeper}")
    theirs = modules.name if first is None else _version_of(first)
    if theirs != release:
        message = f"{modules} holds modules of {theirs}, the kernel is {release}"
        raise PreconditionError(message, fix=f"set --modules to the folder lib/modules/{release}")


def _version_of(module: Path) -> str:
    """The kernel release that a module was built for, from its vermagic."""
    _, _, after = initrd.read_module(module).partition(b"vermagic=")
    return after.split(b"\0")[0].decode("ascii", "replace").partition(" ")[0]


def _check_drivers(found: KernelFile, modules: Path | None) -> None:
    """Raise PreconditionError when a driver that a boot needs is neither a module nor built in."""
    loadable = {initrd.module_name(path.name) for path in _files(modules) if initrd.MODULE_SUFFIX.search(path.name)}
    missing = [name for name in REQUIRED if name not in loadable and not found.names(name)]
    if not missing:
        return
    names = ", ".join(missing)
    if modules is None:
        message = f"kernel {found.release} does not have {names} built in"
        raise PreconditionError(message, fix=f"add --modules DIR, its folder lib/modules/{found.release}")
    message = f"kernel {found.release} has {names} neither built in nor in {modules}"
    options = " ".join(f"CONFIG_{OPTIONS.get(name, name.upper())}" for name in missing)
    raise PreconditionError(message, fix=f"build the kernel with {options} as y or m")


OPTIONS: Final = {"ext4": "EXT4_FS"}


def _files(modules: Path | None) -> Iterator[Path]:
    """Regular files below `modules`, in order, without the links to the sources."""
    if modules is None:
        return
    for folder, folders, names in os.walk(modules):
        folders[:] = sorted(folders)
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink():
                yield path


def _make(lab: Lab, found: KernelFile, modules: Path | None, directory: Path, deadline: Deadline) -> None:
    """Write the files in a work folder and rename it into place. Removes the remains of a killed run first."""
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
        lab.bus.emit(Notice(level="info", text="no --modules: the machine has only the kernel's built-in drivers"))
    (work / DRIVERS).write_bytes(initrd.archive(initrd.tree_entries(loaded)))
    image_seal.seal(work, tuple(names), {"release": found.release, "form": found.form, "btf": found.btf})
    work.rename(directory)


def _copy(modules: Path, tree: Path) -> None:
    for path in _files(modules):
        target = tree / path.relative_to(modules)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _with_dependencies(root: Path, release: str, deadline: Deadline) -> None:
    """Run depmod, which a package does only when it is installed."""
    if (root / "lib/modules" / release / "modules.dep").exists():
        return
    argv = [proc.require_tool("depmod"), "-b", str(root), release]
    proc.check(argv, deadline=deadline, error=ProvisioningError, fix="run depmod on the folder, then run it again")
