"""Converts a cloud image to a golden image, where this host cannot build one or a source is given.

It is booted once, provisioned and exported. The result has the same files as `image.bake`'s.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any, Final

from lab.machines import guest_answers, keys
from lab.machines.images import archive as image_archive
from lab.machines.images import image, rootfs
from lab.machines.images import seal as image_seal
from lab.machines.images.cloud import boot as cloud_boot
from lab.machines.images.cloud import catalog as cloud_catalog
from lab.machines.images.cloud import disk as cloud_disk
from lab.machines.images.cloud import nocloud
from lab.machines.images.cloud.boot import Bootstrap
from lab.machines.images.image import Image
from lab.machines.images.rootfs import ImageSpec
from lab.machines.provisioning import in_guest, playbook
from lab.machines.vm import initrd, qemu_argv
from lab.model.errors import PreconditionError, ProvisioningError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import GOARCH, MachineSpec, Seed
from lab.model.paths import KNOWN_HOSTS_FILE
from lab.remote.base import Transport
from lab.system import proc, store
from lab.system.wait import Deadline

RECIPE: Final = 1  # as `image.RECIPE`, for the extra steps on a cloud image
ROOM_MIB: Final = 1500  # for the packages and the toolchain
NEEDED_MIB: Final = 4500  # measured: 2,552 for a Debian 12 that had the packages; the rest is for them
DISK: Final = "cloud.qcow2"
TREE: Final = "tree"
INIT_THERE: Final = "/run/lab-init"
INIT_S: Final = 600.0
MAX_KERNEL_BYTES: Final = 512 << 20  # a kernel, or the drivers that a boot loads
MAX_LIST_BYTES: Final = 64 << 20
TRY_AGAIN: Final = "run the command again"


def fingerprint(spec: MachineSpec, wanted: ImageSpec) -> str:
    """The image's id: a digest of the source's digest and of all that is added. Raises ConfigError."""
    inputs = {
        "source": cloud_catalog.image(spec)["digest"],
        "on_top": image.fingerprint(wanted),
        "recipe": RECIPE,
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[: image.ID_DIGITS]


def ensure(lab: Lab, spec: MachineSpec, wanted: ImageSpec) -> Image:
    """The image, found or converted. Idempotent.

    Raises ConfigError (digest), SecurityStop (other bytes, a backing file), PreconditionError (not for
    this machine, no QEMU, no firmware, no space), ProvisioningError, TransientError (network), Locked, Cancelled.
    """
    ident = fingerprint(spec, wanted)
    return image.once(lab, ident, lambda deadline: _make(lab, spec, wanted, ident, deadline))


def _make(lab: Lab, spec: MachineSpec, wanted: ImageSpec, ident: str, deadline: Deadline) -> None:
    cloud_catalog.check_name(spec)
    program = proc.require_tool(qemu_argv.PROGRAMS[spec.arch])
    cloud_boot.firmware(spec.arch, program)  # fails before a long download
    image.need_space(lab.paths.images, NEEDED_MIB)  # fails before it too
    where = cloud_catalog.image(spec)
    path = cloud_disk.source(lab, where["location"], where["digest"], deadline)
    store.mark_used(path)
    kind = cloud_disk.format_of(path)
    work = lab.paths.images / f"{image.WORK_PREFIX}{ident}"
    image.discard(work)
    work.mkdir(mode=0o700)
    if kind == "tar":
        with lab.bus.step("image.unpack", "unpack the golden image"):
            image_archive.unpack(path, work, spec.arch, deadline)
    else:
        cloud_disk.check(path, kind, spec.arch, spec.disk_gib, work, deadline)
        _provision(lab, spec, wanted, ident, path, kind, work, deadline)
    work.rename(lab.paths.images / ident)


def _provision(
    lab: Lab, spec: MachineSpec, wanted: ImageSpec, ident: str, path: Path, kind: str, work: Path, deadline: Deadline
) -> None:
    seed = keys.seed(work / "seed")
    nocloud.write_disk(work / "seed.iso", seed)
    with lab.bus.step("image.go", "pack the machine's Go toolchain and init"):
        rootfs.build_init(lab, wanted.go_root, GOARCH[wanted.arch], work / rootfs.INIT_BINARY, deadline)
        _pack_go(wanted.guest_go or wanted.go_root, work)
    program = proc.require_tool(qemu_argv.PROGRAMS[spec.arch])
    tried = cloud_boot.accelerators(lab, spec, program)
    for accel in tried:
        _own_disk(path, kind, work / DISK, spec.disk_gib, deadline)
        boot = Bootstrap(
            arch=spec.arch,
            accel=accel,
            cpus=spec.cpus,
            memory_mib=spec.memory_mib,
            disk=work / DISK,
            seed=work / "seed.iso",
            go=work / "go.tar",
            port=cloud_boot.free_port(),
            serial=work / cloud_boot.SERIAL,
            firmware=cloud_boot.firmware(spec.arch, program),
        )
        try:
            _boot(lab, wanted, ident, boot, seed, deadline, inside=in_guest.inside(spec.ansible))
            break
        except _NoAnswer as error:
            if accel == tried[-1]:
                raise error.why from error
            lab.bus.emit(Notice(level="warning", text=f"the image does not boot with {accel}; trying {tried[-1]}"))
    with lab.bus.step("image.disk", "export the root file system"):
        cloud_disk.export_root(work / DISK, work / image.DISK, work, deadline)
    with lab.bus.step("image.seal", "hash and seal the image"):
        image.write_boot_files(work, work / TREE, spec.arch)
        facts: dict[str, Any] = {"id": ident, "suite": wanted.suite, "packages": rootfs.installed(work / TREE)}
        facts |= {"kernel": initrd.kernel_modules(work / TREE).name, "arch": spec.arch}
        facts |= {"sources": cloud_catalog.image(spec)["location"]}
        image_seal.seal(work, image.FILES, facts)
        _tidy(work)


class _NoAnswer(Exception):
    """The boot failed with this acceleration."""

    def __init__(self, why: ProvisioningError) -> None:
        super().__init__(why.message)
        self.why = why


def _boot(
    lab: Lab, wanted: ImageSpec, ident: str, boot: Bootstrap, seed: Seed, deadline: Deadline, *, inside: bool
) -> None:
    with cloud_boot.running(boot, seed, deadline) as (where, ended):
        with lab.bus.step("image.boot", f"boot the image by its own loader ({boot.accel})"):
            try:
                link = cloud_boot.reach(lab, boot, where, ended, deadline)
            except ProvisioningError as error:
                raise _NoAnswer(error) from error
        with link:
            link.run(["cloud-init", "status", "--wait"], deadline.sooner(INIT_S))
            _need_debian(_sh(link, "cat /etc/os-release", deadline).text())
            _need_room(link, deadline)
            with lab.bus.step("image.toolchain", "copy the Go toolchain"):
                _sh(link, nocloud.go_script(f"/dev/disk/by-id/virtio-{cloud_boot.GO_SERIAL}"), deadline)
            keys.write_access(boot.disk.parent, "image", where)
            init, log = boot.disk.with_name(rootfs.INIT_BINARY), boot.disk.with_name("playbook.log")
            init_place = INIT_THERE if inside else str(init)
            variables = rootfs.playbook_variables(ident, init_place, dict(wanted.links), wanted.packages)
            options: dict[str, Any] = {"tags": ["image"], "log": log, "deadline": deadline, "variables": variables}
            with lab.bus.step("image.playbook", f"apply the playbook {'in the machine' if inside else 'over SSH'}"):
                if inside:
                    link.put(init, INIT_THERE, deadline, mode=0o755)
                    in_guest.apply(lab, link, **options)
                else:
                    known_hosts = boot.disk.parent / KNOWN_HOSTS_FILE
                    playbook.apply_over_ssh(lab, where, known_hosts, **options)
            with lab.bus.step("image.kernel", "fetch the kernel and its drivers"):
                _fetch(link, boot.disk.parent / TREE, deadline)
            _sh(link, nocloud.last_script(), deadline)
            link.run(["systemctl", "poweroff", "--no-block"], deadline)
        with lab.bus.step("image.shutdown", "shut down the image"):
            cloud_boot.wait_end(lab, ended, boot.accel)


def _need_debian(release: str) -> None:
    """Raise PreconditionError for the os-release of another distribution: the added packages are Debian's."""
    words = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    if words.get("ID", "").strip('"') != "debian":
        message = f"the image is {words.get('PRETTY_NAME', 'unnamed').strip(chr(34))}, only Debian can be converted"
        raise PreconditionError(message, fix="set --source to a Debian cloud image, or use --provider ssh or vagrant")


def _need_room(link: Transport, deadline: Deadline) -> None:
    words = link.run(["df", "--output=avail", "--block-size=1M", "/"], deadline).text().split()
    free = int(words[-1]) if words and words[-1].isdigit() else 0
    if free < ROOM_MIB:
        message = f"the image's file system has {free} MiB free, {ROOM_MIB} are needed: it did not grow with its disk"
        raise PreconditionError(message, fix="use an image with growpart (Debian's have it), or a larger disk_gib")


def _fetch(link: Transport, tree: Path, deadline: Deadline) -> None:
    """Fetch the running kernel, the drivers that a boot loads, and the package list, as in a built tree."""
    release = guest_answers.name(_sh(link, "uname -r", deadline).text(), "kernel release")
    modules = f"/usr/lib/modules/{release}"
    here = tree / f"usr/lib/modules/{release}"
    for folder in (here, tree / "boot", tree / "var/lib/dpkg"):
        folder.mkdir(parents=True, exist_ok=True)
    link.get(f"/boot/vmlinuz-{release}", tree / f"boot/vmlinuz-{release}", deadline, max_bytes=MAX_KERNEL_BYTES)
    link.get("/var/lib/dpkg/status", tree / "var/lib/dpkg/status", deadline, max_bytes=MAX_LIST_BYTES)
    link.get(f"{modules}/modules.dep", here / "modules.dep", deadline, max_bytes=MAX_LIST_BYTES)
    names = initrd.load_order((here / "modules.dep").read_text(encoding="utf-8", errors="replace"), initrd.DRIVERS)
    if odd := [name for name in names if name.startswith(("/", "-")) or ".." in name.split("/")]:
        raise ProvisioningError(f"the image lists a driver outside its modules folder: {odd[0]!r}", fix=TRY_AGAIN)
    if names:
        packed = link.run(["tar", "-C", modules, "-chf", "-", *names], deadline, max_output=MAX_KERNEL_BYTES)
        if not packed.ok:
            raise ProvisioningError("cannot read the image's drivers", fix=TRY_AGAIN, detail=packed.tail())
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tar:
            for member in tar:
                content = tar.extractfile(member)
                # a sparse member claims to be larger than all data received
                if content is None or member.name not in names or member.size > len(packed.stdout):
                    continue
                target = here / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())


def _sh(link: Transport, script: str, deadline: Deadline) -> proc.Result:
    result = link.run(["sh", "-s"], deadline, stdin=script.encode())
    if not result.ok:
        raise ProvisioningError("a script failed while preparing the image", fix=TRY_AGAIN, detail=result.tail())
    return result


def _own_disk(path: Path, kind: str, target: Path, disk_gib: int, deadline: Deadline) -> None:
    """A copy of the source's disk, resized to the machine's: the image grows its file system itself."""
    target.unlink(missing_ok=True)
    tool = proc.require_tool("qemu-img")
    convert = [tool, "convert", "-f", kind, "-O", "qcow2", str(path), str(target)]
    proc.check(convert, deadline=deadline, error=ProvisioningError, fix=TRY_AGAIN)
    resize = [tool, "resize", "-q", "-f", "qcow2", str(target), f"{disk_gib}G"]
    proc.check(resize, deadline=deadline, error=ProvisioningError, fix=TRY_AGAIN)


def _pack_go(go_root: Path, work: Path) -> None:
    """The toolchain as a plain tar, attached as a disk: the machine unpacks it directly from the device."""
    rootfs.copy_go(go_root, work / "go")

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        program = member.isdir() or member.name.startswith(("go/bin/", "go/pkg/tool/"))
        member.mode = 0o755 if program else member.mode | 0o444
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        return member

    with tarfile.open(work / "go.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(work / "go", "go", filter=plain)
    shutil.rmtree(work / "go")


def _tidy(work: Path) -> None:
    """Keep the files of a built image; remove the seed's keys and the bootstrap's disks."""
    kept = {*image.FILES, image_seal.SEAL_FILE, image_seal.WITNESS_FILE}
    for path in work.iterdir():
        if path.name in kept:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
