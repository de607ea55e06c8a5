"""Selects the golden image of a machine from its spec, the Go toolchain and the image cache."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab.model.errors import ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import GOARCH, HOST_ARCH, MachineSpec
from lab.system import private, proc, toolchain
from lab.system.wait import Deadline

if TYPE_CHECKING:
    from lab.machines.images.image import Image
    from lab.machines.images.rootfs import ImageSpec

PLATFORM: str = sys.platform  # as text: what is decided by it is decided on every platform
GO_VERSION: Final = "go1.26.1"
GO_S: Final = 600.0  # the first call may fetch the toolchain


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootable:
    """What a machine starts from: an image, or an image's disk with a custom kernel.

    `id` names all of it; `release` is the expected `uname -r` ("" when unknown); `modules` is a disk.
    """

    id: str
    disk: Path
    kernel: Path
    kernel_digest: str
    initrd: bytes
    release: str
    modules: Path | None = None


def bootable(lab: Lab, spec: MachineSpec) -> Bootable:
    """The image of `ensure`, ready to start. Raises what `find` and `custom.prepare` raise."""
    from lab.machines.images import seal as image_seal
    from lab.machines.images.kernels import custom
    from lab.machines.vm import initrd

    image = find(lab, spec)
    shared = image.initrd.read_bytes()
    if not spec.kernel:
        release = str((image_seal.read_seal(image.directory) or {}).get("kernel", ""))
        digest = image.digests.get(image.kernel.name, "")
        return Bootable(
            id=image.id,
            disk=image.disk,
            kernel=image.kernel,
            kernel_digest=digest,
            initrd=shared,
            release=release,
        )
    own = custom.prepare(lab, spec)
    return Bootable(
        id=f"{image.id}+{own.directory.name}",
        disk=image.disk,
        kernel=own.kernel,
        kernel_digest=own.digest,
        initrd=initrd.without_drivers(shared) + own.drivers.read_bytes(),
        release=own.release,
        modules=own.disk,
    )


def ensure(lab: Lab, spec: MachineSpec) -> Image:
    """The image, found or built. Idempotent; see `image.bake` and `convert.ensure` for what it raises."""
    from lab.machines.images import (
        image,  # here and below: slow to import, and not needed to inspect or stop a machine
    )

    if not _by_cloud(spec):
        return image.bake(lab, image_spec(lab, spec))
    from lab.machines.images.cloud import convert as cloud_convert

    return cloud_convert.ensure(lab, spec, image_spec(lab, spec))


def find(lab: Lab, spec: MachineSpec) -> Image:
    """The image that `ensure` built. Raises ProvisioningError when it is missing."""
    from lab.machines.images import image

    found = image.at(lab, wanted(lab, spec))
    if found is None:
        raise ProvisioningError(f"the image {spec.source or spec.image} is not built yet", fix="lab up")
    return found


def wanted(lab: Lab, spec: MachineSpec) -> str:
    """The id of the image that `ensure` finds or builds. Raises what `image.image_spec` and `go_root` raise."""
    from lab.machines.images import image

    if not _by_cloud(spec):
        return image.fingerprint(image_spec(lab, spec))
    from lab.machines.images.cloud import convert as cloud_convert

    return cloud_convert.fingerprint(spec, image_spec(lab, spec))


def _by_cloud(spec: MachineSpec) -> bool:
    """A given image is converted by booting it; so is Debian's cloud image where this host cannot build one."""
    return bool(spec.source) or not can_bake()


def can_bake() -> bool:
    """Whether this host can unpack Debian packages with their owners."""
    return may_bake() and proc.which("mmdebstrap") is not None


def may_bake() -> bool:
    """Whether this host can build an image once the needed Debian packages are installed."""
    return PLATFORM == "linux" and private.is_root() and proc.which("apt-get") is not None


def image_spec(lab: Lab, spec: MachineSpec) -> ImageSpec:
    """The wanted image with its toolchains. Raises what `image.image_spec` and `toolchain` raise."""
    from lab.machines.images import image

    wanted = image.image_spec(spec, go_root=go_root(lab))
    if spec.arch == HOST_ARCH and toolchain.host_target()[0] == "linux":
        return wanted
    deadline = Deadline.after(GO_S, lab.cancel)
    return replace(wanted, guest_go=toolchain.for_machine(lab, GO_VERSION, GOARCH[spec.arch], deadline=deadline))


def go_root(lab: Lab) -> Path:
    """The folder of the pinned Go toolchain, fetched once when missing. See `toolchain.find` for what it raises."""
    return toolchain.find(lab, GO_VERSION, deadline=Deadline.after(GO_S, lab.cancel)).root
