"""The golden image: built once from Debian packages, and found again by the fingerprint of all its inputs.

`bake` is the entry. It is idempotent and safe against a concurrent build and against a kill at any point: it works in a
folder under the image's lock, and renames the finished folder to its final name.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from lab.machines.images import apt, rootfs
from lab.machines.images import seal as image_seal
from lab.machines.images.kernels import unpack as kernel
from lab.machines.images.recipes import OF_ARCH, RECIPES
from lab.machines.images.rootfs import ImageSpec
from lab.machines.vm import initrd
from lab.machines.vm.qemu_argv import ROOT_SERIAL
from lab.model.errors import ConfigError, PreconditionError, ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import Arch, MachineSpec
from lab.system import digests, ext4, locks, resources, store
from lab.system.wait import Deadline

DISK: Final = "disk.raw"
KERNEL: Final = "vmlinux"
INITRD: Final = "initrd.cpio"
FILES: Final = (DISK, KERNEL, INITRD)
WORK_PREFIX: Final = "baking-"
BAKE_S: Final = 3600.0
ID_DIGITS: Final = 16
MIB: Final = 1024 * 1024
NEEDED_MIB: Final = 3400  # tree, disk and package archives exist at the same time
INODES: Final = 262144
# Raise it when the code that builds an image changes its content: then older images are not used any more.
# Input data is part of the fingerprint anyway. tests/unit/machines/test_recipe.py is a reminder.
RECIPE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A sealed image. `disk` is raw and never written again; `digests` are `image_seal.digest` of its files."""

    id: str
    directory: Path
    digests: dict[str, str]

    @property
    def disk(self) -> Path:
        return self.directory / DISK

    @property
    def kernel(self) -> Path:
        return self.directory / KERNEL

    @property
    def initrd(self) -> Path:
        return self.directory / INITRD


def image_spec(spec: MachineSpec, *, go_root: Path) -> ImageSpec:
    """The image for a machine's spec. Raises ConfigError (no such recipe), PreconditionError (no such arch)."""
    recipe = RECIPES.get(spec.image)
    if recipe is None:
        raise ConfigError(f"there is no image {spec.image}", fix=f"set machine.image to one of {', '.join(RECIPES)}")
    if spec.arch not in recipe.archs:
        known = ", ".join(recipe.archs)
        raise PreconditionError(f"{spec.image} is available for {known}, not {spec.arch}", fix="use another provider")
    instead = {**dict(recipe.instead), **OF_ARCH[spec.arch]}
    packages = tuple(sorted(instead.get(name, name) for name in default_packages()))
    return ImageSpec(
        suite=recipe.suite,
        arch=spec.arch,
        disk_gib=spec.disk_gib,
        packages=packages,
        go_root=go_root,
        links=recipe.links,
        pockets=recipe.pockets,
    )


def default_packages() -> tuple[str, ...]:
    """The packages that the playbook names: one list for a baked and an unbaked machine."""
    text = (resources.root() / "playbooks/packages.yml").read_text(encoding="utf-8")
    groups: dict[str, list[str]] = yaml.safe_load(text)["packages"]
    return tuple(sorted({name for group in groups.values() for name in group}))


def fingerprint(spec: ImageSpec) -> str:
    """The image's id: a digest of all inputs. Package versions are not known in advance; the seal lists them."""
    inputs: dict[str, Any] = asdict(spec) | {
        "go_root": go_identity(spec.go_root),
        "guest_go": None if spec.guest_go is None else go_identity(spec.guest_go),
        "packages": sorted(spec.packages),
        "playbooks": digests.of_folder(resources.root() / "playbooks"),
        "recipe": RECIPE,
        "drivers": initrd.DRIVERS,
        "tree": rootfs.SETTINGS,
    }
    text = json.dumps(inputs, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]


def find(lab: Lab, spec: ImageSpec, *, deep: bool = False) -> Image | None:
    """The image of `spec`, checked; None when there is none. Raises SecurityStop if it was changed."""
    return at(lab, fingerprint(spec), deep=deep)


def at(lab: Lab, ident: str, *, deep: bool = False) -> Image | None:
    """The image of that id, checked by its seal; None when there is none. Raises SecurityStop if it was changed."""
    directory = lab.paths.images / ident
    if not directory.is_dir():
        return None
    return Image(id=ident, directory=directory, digests=image_seal.check(directory, deep=deep))


def bake(lab: Lab, spec: ImageSpec) -> Image:
    """The image of `spec`: found and checked, or built now. Idempotent; a concurrent build waits for the first one's.

    Raises PreconditionError (root, tools, disk space), ProvisioningError, Locked, SecurityStop, Cancelled.
    """
    ident = fingerprint(spec)  # once: its inputs may be edited during the build
    return once(lab, ident, lambda deadline: _make(lab, spec, ident, deadline))


def once(lab: Lab, ident: str, make: Callable[[Deadline], None]) -> Image:
    """The image `ident`: found and checked, or built by `make` under its lock. Raises Locked and what `make` raises."""
    if (image := at(lab, ident)) is not None:
        store.mark_used(image.directory)
        return image
    waiting = Deadline.after(lab.config.lock_timeout_s, lab.cancel)
    with locks.hold(lab.paths.locks / f"image-{ident}", what=f"image {ident}", deadline=waiting):
        if (image := at(lab, ident)) is not None:
            return image
        with lab.bus.step("image", "build the golden image"):
            make(Deadline.after(BAKE_S, lab.cancel))
    made = at(lab, ident)
    if made is None:
        raise ProvisioningError(f"image {ident} was removed right after its build", fix="run the command again")
    return made


def _make(lab: Lab, spec: ImageSpec, ident: str, deadline: Deadline) -> None:
    """Build the image in a work folder and rename it into place. Removes the remains of a killed build first."""
    work = lab.paths.images / f"{WORK_PREFIX}{ident}"
    discard(work)
    need_space(lab.paths.images)
    work.mkdir(mode=0o700)
    tree = rootfs.build(lab, spec, ident, work, deadline)
    with lab.bus.step("image.disk", "write the disk"):
        write_boot_files(work, tree, spec.arch)
        _write_disk(work, tree, ident, spec.disk_gib, deadline)
    with lab.bus.step("image.seal", "hash and seal the image"):
        facts = {"id": ident, "suite": spec.suite, "packages": rootfs.installed(tree)}
        facts |= {"kernel": initrd.kernel_modules(tree).name, "arch": spec.arch}
        facts |= {"sources": apt.shown(apt.sources(spec.suite, spec.pockets))}
        shutil.rmtree(tree)
        image_seal.seal(work, FILES, facts)
        work.rename(lab.paths.images / ident)


def write_boot_files(work: Path, tree: Path, arch: Arch) -> None:
    """Write kernel and initial RAM disk, from a tree with one kernel and its modules; `work` has the machine's init."""
    kernels = sorted((tree / "boot").glob("vmlinuz-*"))
    if len(kernels) != 1:
        raise ProvisioningError(f"expected one kernel in the image, found {len(kernels)}", fix="lab doctor")
    (work / KERNEL).write_bytes(kernel.startable(kernels[0], arch))
    (work / INITRD).write_bytes(initrd.initrd(tree, work / rootfs.INIT_BINARY))


def _write_disk(work: Path, tree: Path, ident: str, disk_gib: int, deadline: Deadline) -> None:
    """An ext4 file system from the tree, without mounting anything. Its UUID and hash seed come from the id."""
    name = str(uuid.uuid5(uuid.NAMESPACE_OID, ident))
    # prezeroed: the file is sparse, so neither mke2fs nor the guest's kernel must zero the inode tables
    extended = f"lazy_itable_init=0,assume_storage_prezeroed=1,root_owner=0:0,hash_seed={name}"
    options = ("-U", name, "-J", "size=16", "-N", str(INODES), "-E", extended)
    ext4.make(tree, work / DISK, label=ROOT_SERIAL, size=f"{disk_gib}G", options=options, deadline=deadline)


def need_space(directory: Path, needed_mib: int = NEEDED_MIB) -> None:
    """Raise PreconditionError, with the bytes needed and free, when an image would not fit."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    free = shutil.disk_usage(directory).free
    if free < needed_mib * MIB:
        raise PreconditionError(
            f"the image build needs {needed_mib * MIB:,} bytes in {directory}, {free:,} are free",
            fix="free some space there, or choose another folder with --home",
        )


def discard(work: Path) -> None:
    """Remove a work folder. Refuses while anything is mounted inside, since removing would delete its files."""
    if not work.exists():
        return
    prefix = f"{work.resolve()}/"
    if any(place.startswith(prefix) for place in _mount_points()):
        raise ProvisioningError(f"cannot remove {work}: it has mounts inside", fix=f"umount --recursive {work}")
    shutil.rmtree(work)


def _mount_points() -> Iterable[str]:
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line.split()[4] for line in lines]


def go_identity(go_root: Path) -> dict[str, str]:
    """Identifies a toolchain without reading 15,000 files: by its version and the digest of bin/go."""
    try:
        version = (go_root / "VERSION").read_text(encoding="utf-8")
        driver = hashlib.sha256((go_root / "bin/go").read_bytes()).hexdigest()
    except OSError as error:
        message = f"{go_root} is not a Go toolchain: {error.strerror or error}"
        raise PreconditionError(message, fix="lab doctor --install") from error
    return {"version": version.splitlines()[0], "driver": driver}
