"""A kernel of one's own: refused before a start when it cannot work, else kept by its content."""

from __future__ import annotations

import dataclasses
import gzip
import lzma
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from lab.machines import doctor, steps
from lab.machines.images import golden, image
from lab.machines.images import seal as image_seal
from lab.machines.images.image import Image
from lab.machines.images.kernels import custom
from lab.machines.providers import PROVIDERS
from lab.machines.providers.qemu.provider import clock_of
from lab.machines.vm import initrd
from lab.model.config import Config
from lab.model.errors import LabError, PreconditionError, ProvisioningError, SecurityStop
from lab.model.events import Bus, CheckDone
from lab.model.lab import Lab
from lab.model.machine import Finding, Handle, Machine, MachineSpec
from lab.model.paths import Paths
from tests.fakes import kernels

DRIVERS = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(config=Config(), paths=Paths(home=tmp_path / "home"), bus=Bus())


def given(tmp_path: Path, plain: bytes, modules: Path | None = None) -> MachineSpec:
    path = tmp_path / "bzImage"
    path.write_bytes(kernels.packed(plain))
    return MachineSpec(arch="x86_64", kernel=str(path), modules="" if modules is None else str(modules))


@pytest.fixture
def spec(tmp_path: Path) -> MachineSpec:
    """Only ext4 is built in; the rest are modules."""
    modules = kernels.modules(tmp_path / "lib/modules" / kernels.RELEASE, DRIVERS)
    return given(tmp_path, kernels.elf(drivers=("ext4",)), modules)


def test_what_can_start_is_told_with_its_release(spec: MachineSpec) -> None:
    found = custom.check(spec)
    assert (found.verdict, found.message) == ("ok", f"{kernels.RELEASE} (bzImage)")


def test_without_types_it_starts_and_is_told_what_that_costs(tmp_path: Path) -> None:
    found = custom.check(given(tmp_path, kernels.elf(drivers=kernels.BUILT_IN, btf=False)))
    assert found.verdict == "warn"
    assert "eBPF forms" in found.message
    assert "CONFIG_DEBUG_INFO_BTF" in found.fix


def test_what_is_built_in_needs_no_modules(tmp_path: Path, lab: Lab) -> None:
    made = custom.prepare(lab, given(tmp_path, kernels.elf(drivers=kernels.BUILT_IN)))
    assert made.disk is None
    assert initrd.entries(made.drivers.read_bytes()) == []


def other_version(spec: MachineSpec) -> MachineSpec:
    place = Path(spec.modules).with_name("6.1.0-other")
    return dataclasses.replace(spec, modules=str(kernels.modules(place, DRIVERS, release="6.1.0-other")))


def same_name_other_build(spec: MachineSpec) -> MachineSpec:
    place = Path(spec.modules).parent.parent / "copy" / kernels.RELEASE
    return dataclasses.replace(spec, modules=str(kernels.modules(place, DRIVERS, release="6.1.0-other")))


def no_folder(spec: MachineSpec) -> MachineSpec:
    return dataclasses.replace(spec, modules=spec.kernel)


def too_high(spec: MachineSpec) -> MachineSpec:
    return dataclasses.replace(spec, modules=str(Path(spec.modules).parents[2]))


def no_disk_driver(spec: MachineSpec) -> MachineSpec:
    (Path(spec.modules) / "kernel/drivers/virtio_blk.ko").unlink()
    return spec


def cut_off(spec: MachineSpec) -> MachineSpec:
    """A packed module of which a part is missing, as after a broken copy."""
    path = Path(spec.modules) / "kernel/drivers/aaa.ko.xz"
    path.write_bytes(lzma.compress(bytes(5000))[:40])
    return spec


def no_modules(spec: MachineSpec) -> MachineSpec:
    return dataclasses.replace(spec, modules="")


def no_kernel(spec: MachineSpec) -> MachineSpec:
    return dataclasses.replace(spec, kernel="")


@pytest.mark.parametrize(
    ("break_it", "cause", "fix"),
    [
        (other_version, r"holds modules of 6\.1\.0-other, the kernel is 6\.9\.1-own", f"lib/modules/{kernels.RELEASE}"),
        (same_name_other_build, r"holds modules of 6\.1\.0-other", f"lib/modules/{kernels.RELEASE}"),
        (no_folder, "is not a folder", f"lib/modules/{kernels.RELEASE}"),
        (too_high, "not the modules folder of one kernel", f"lib/modules/{kernels.RELEASE}"),
        (no_disk_driver, "has virtio_blk neither built in nor in", "CONFIG_VIRTIO_BLK"),
        (cut_off, r"cannot unpack the module .*aaa\.ko\.xz", "copy the modules again"),
        (no_modules, "does not have virtio_pci, virtio_blk, virtio_net, virtio_console built in", "--modules DIR"),
        (no_kernel, "--modules needs --kernel", "--kernel FILE"),
    ],
)
def test_what_could_not_start_is_told_before(
    spec: MachineSpec, lab: Lab, break_it: Callable[[MachineSpec], MachineSpec], cause: str, fix: str
) -> None:
    broken = break_it(spec)
    with pytest.raises(LabError, match=cause) as raised:
        custom.prepare(lab, broken)
    found = custom.check(broken)
    assert (found.verdict, found.message, found.fix) == ("fail", raised.value.message, raised.value.fix)
    assert fix in found.fix
    assert not lab.paths.kernels.exists(), "nothing was made"


def test_modules_packed_by_gzip_are_read(spec: MachineSpec, lab: Lab) -> None:
    for path in sorted(Path(spec.modules).rglob("*.ko")):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    table = Path(spec.modules) / "modules.dep"
    table.write_text(table.read_text().replace(".ko", ".ko.gz"))
    made = custom.prepare(lab, spec)
    loaded = [entry.data for entry in initrd.entries(made.drivers.read_bytes()) if entry.data is not None]
    assert loaded
    assert all(data.startswith(b"\x7fELF") for data in loaded), "the kernel takes them plain"


def test_it_is_kept_by_its_content_and_found_again(spec: MachineSpec, lab: Lab) -> None:
    made = custom.prepare(lab, spec)
    assert made.release == kernels.RELEASE
    assert made.kernel.read_bytes().startswith(b"\x7fELF")
    names = [entry.path for entry in initrd.entries(made.drivers.read_bytes())]
    assert names[0] == "m"
    assert {initrd.module_name(name)[2:].partition("_")[2] for name in names[1:]} == set(DRIVERS)
    before = made.kernel.stat().st_ino
    assert custom.prepare(lab, spec).kernel.stat().st_ino == before, "made once"


@pytest.mark.parametrize("where", ["kernel", "module"])
def test_another_content_is_another_kernel(spec: MachineSpec, lab: Lab, where: str) -> None:
    before = custom.prepare(lab, spec)
    path = Path(spec.kernel if where == "kernel" else f"{spec.modules}/kernel/drivers/virtio_net.ko")
    path.write_bytes(path.read_bytes().replace(b"license=GPL", b"license=BSD") + b"more")
    if where == "kernel":
        path.write_bytes(kernels.packed(kernels.elf(drivers=("ext4", "more"))))
    assert custom.prepare(lab, spec).directory != before.directory


def test_a_killed_maker_leaves_nothing_that_counts(spec: MachineSpec, lab: Lab) -> None:
    found, modules = custom._read(spec)
    work = lab.paths.kernels / f"making-{custom.digest_of(found, modules)[:16]}"
    (work / "tree").mkdir(parents=True)
    (work / "kernel").write_bytes(b"half")
    made = custom.prepare(lab, spec)
    assert [path.name for path in lab.paths.kernels.iterdir()] == [made.directory.name]


def test_a_changed_cache_is_not_started(spec: MachineSpec, lab: Lab) -> None:
    made = custom.prepare(lab, spec)
    made.kernel.write_bytes(b"planted")
    with pytest.raises(SecurityStop, match="kernel has digest"):
        custom.prepare(lab, spec)


def test_modprobes_tables_are_made_where_a_package_brings_none(spec: MachineSpec, lab: Lab) -> None:
    (Path(spec.modules) / "modules.dep").unlink()
    made = custom.prepare(lab, spec)
    assert made.disk is not None
    argv = ["/sbin/debugfs", "-R", "ls -p /", str(made.disk)]
    told = subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout
    assert "/modules.dep/" in told
    assert not (Path(spec.modules) / "modules.dep").exists(), "the user's folder is only read"


@pytest.fixture
def baked(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Image:
    directory = lab.paths.images / "0123456789abcdef"
    directory.mkdir(parents=True)
    for name in image.FILES:
        (directory / name).write_bytes(b"image")
    shared = {"init": (0o755, b"init"), "m/00-virtio_blk.ko": (0o644, b"the image's")}
    (directory / image.INITRD).write_bytes(initrd.archive(initrd.tree_entries(shared)))
    image_seal.seal(directory, image.FILES, {"kernel": "6.1.0-image"})
    made = Image(id=directory.name, directory=directory, digests=image_seal.check(directory))
    monkeypatch.setattr(golden, "find", lambda lab, spec: made)
    return made


def test_an_image_starts_its_own_kernel(lab: Lab, baked: Image) -> None:
    boot = golden.bootable(lab, MachineSpec())
    assert (boot.id, boot.kernel, boot.release, boot.modules) == (baked.id, baked.kernel, "6.1.0-image", None)
    assert boot.initrd == baked.initrd.read_bytes()


def test_with_another_kernel_it_is_another_machine(lab: Lab, baked: Image, spec: MachineSpec) -> None:
    boot, plain = golden.bootable(lab, spec), golden.bootable(lab, MachineSpec())
    assert boot.id == f"{baked.id}+{boot.kernel_digest[:16]}"
    assert boot.kernel_digest != plain.kernel_digest
    assert (boot.disk, boot.release) == (baked.disk, kernels.RELEASE)
    assert boot.modules is not None
    assert b"the image's" not in boot.initrd
    assert b"license=GPL" in boot.initrd


def machine(spec: MachineSpec, release: str) -> Machine:
    handle = Handle(provider="qemu", name="lab", machine_id="0" * 32, directory="", kernel_release=release)
    return Machine(spec=spec, handle=handle)


def kernel_says(release: str) -> list[Finding]:
    return [Finding(name="machine.kernel", verdict="ok", message=release)]


def test_the_kernel_that_answers_must_be_the_one_that_was_meant() -> None:
    steps._check_kernel(machine(MachineSpec(), "6.1.0-a"), kernel_says("6.1.0-a"))
    steps._check_kernel(machine(MachineSpec(), ""), kernel_says("anything"))
    with pytest.raises(ProvisioningError, match=r"runs kernel 6\.1\.0-b, not 6\.1\.0-a"):
        steps._check_kernel(machine(MachineSpec(), "6.1.0-a"), kernel_says("6.1.0-b"))
    with pytest.raises(ProvisioningError, match="runs kernel unknown"):
        steps._check_kernel(machine(MachineSpec(), "6.1.0-a"), [])


def test_what_ones_own_kernel_lacks_for_bpf_is_told_and_nothing_else_is_forgiven(
    tmp_path: Path, spec: MachineSpec
) -> None:
    told: list[CheckDone] = []
    bus = Bus((lambda record: told.append(record.event) if isinstance(record.event, CheckDone) else None,))
    lab = Lab(config=Config(), paths=Paths(home=tmp_path), bus=bus)
    no_types = Finding(name="machine.btf", verdict="fail", message="no types", fix="x")
    no_root = Finding(name="machine.root", verdict="fail", message="uid 1", fix="x")
    steps._check_findings(lab, machine(spec, ""), [no_types])
    assert [(one.name, one.verdict) for one in told] == [("machine.btf", "warn")]
    with pytest.raises(ProvisioningError, match=r"machine\.root"):
        steps._check_findings(lab, machine(spec, ""), [no_types, no_root])
    with pytest.raises(ProvisioningError, match=r"machine\.btf"):
        steps._check_findings(lab, machine(MachineSpec(), ""), [no_types])


@pytest.mark.parametrize("key", ["kernel", "modules"])
@pytest.mark.parametrize("provider", ["ssh", "local"])
def test_a_provider_that_starts_its_own_kernel_says_so(lab: Lab, provider: str, key: str) -> None:
    spec = MachineSpec(provider=provider, kernel="/x" if key == "kernel" else "", modules="/x")
    with pytest.raises(PreconditionError, match=f"{provider} does not support a custom kernel") as raised:
        steps._check_host(lab, Machine(spec=spec))
    assert "qemu" in raised.value.fix


@pytest.mark.parametrize("provider", [name for name, one in PROVIDERS.items() if not one.FEATURES.counted])
def test_a_provider_that_cannot_count_says_so_before_and_in_doctor(lab: Lab, provider: str) -> None:
    spec = MachineSpec(provider=provider, clock="counted")
    with pytest.raises(PreconditionError, match=f"{provider} does not support --clock counted") as raised:
        steps._check_host(lab, Machine(spec=spec))
    assert raised.value.fix == "use --provider qemu, or --clock real"
    assert ("clock", "fail") in [(one.name, one.verdict) for one in doctor.checks(lab, spec)]


@pytest.mark.parametrize(
    ("wanted", "accel", "clock"),
    [
        ("auto", "kvm", "real"),
        ("auto", "tcg", "counted"),
        ("real", "tcg", "real"),
        ("counted", "tcg", "counted"),
    ],
)
def test_a_machine_counts_where_its_time_would_tell_nothing(
    lab: Lab, wanted: Literal["auto", "real", "counted"], accel: str, clock: str
) -> None:
    assert clock_of(lab, MachineSpec(clock=wanted), accel) == clock
