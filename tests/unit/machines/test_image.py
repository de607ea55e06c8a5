"""What makes an image another image, and what is refused before any work."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.machines import host_packages
from lab.machines.images import image, rootfs
from lab.machines.images import seal as image_seal
from lab.machines.images.recipes import RECIPES
from lab.machines.images.rootfs import ImageSpec
from lab.model.config import Config
from lab.model.errors import ConfigError, PreconditionError, SecurityStop
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH, MachineSpec
from lab.model.paths import Paths
from lab.system import digests, resources


@pytest.fixture
def go_root(tmp_path: Path) -> Path:
    root = tmp_path / "go"
    (root / "bin").mkdir(parents=True)
    (root / "VERSION").write_text("go1.26.1\ntime 2026-03-03T17:07:49Z\n")
    (root / "bin/go").write_bytes(b"\x7fELF driver")
    return root


@pytest.fixture
def spec(go_root: Path) -> ImageSpec:
    return image.image_spec(MachineSpec(), go_root=go_root)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(config=Config(), paths=Paths(home=tmp_path / "home"), bus=Bus())


@pytest.mark.parametrize(
    "change",
    [
        {"suite": "trixie"},
        {"arch": "aarch64"},
        {"disk_gib": 17},
        {"with_go": False},
        {"packages": ("one", "more")},
        {"links": (("/usr/local/bin/clang", "/usr/bin/clang-16"),)},
        {"pockets": ("",)},
    ],
)
def test_each_setting_changes_the_id(spec: ImageSpec, change: dict[str, Any]) -> None:
    assert image.fingerprint(dataclasses.replace(spec, **change)) != image.fingerprint(spec)


def _new_version(go_root: Path) -> None:
    (go_root / "VERSION").write_text("go1.26.2\n")


def _new_driver(go_root: Path) -> None:
    (go_root / "bin/go").write_bytes(b"\x7fELF other")


@pytest.mark.parametrize("change", [_new_version, _new_driver])
def test_another_toolchain_changes_the_id(spec: ImageSpec, change: Callable[[Path], None]) -> None:
    before = image.fingerprint(spec)
    change(spec.go_root)
    assert image.fingerprint(spec) != before


@pytest.mark.parametrize(
    "name",
    ["machine.yml", "packages.yml", "init/disks.go", "roles/golden/vars/main.yml", "plugins/modules/tree_apply.py"],
)
def test_a_changed_or_renamed_playbook_file_changes_the_id(
    spec: ImageSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    shutil.copytree(resources.root() / "playbooks", tmp_path / "copy/playbooks")
    before = image.fingerprint(spec)
    monkeypatch.setattr(resources, "root", lambda: tmp_path / "copy")
    assert image.fingerprint(spec) == before, "the same files in another place are the same inputs"
    path = tmp_path / "copy/playbooks" / name
    text = path.read_bytes()
    path.write_bytes(text + b"\n# changed\n")
    changed = image.fingerprint(spec)
    path.write_bytes(text)
    path.rename(path.with_name("renamed"))
    assert len({before, changed, image.fingerprint(spec)}) == 3


def test_where_the_toolchain_lies_does_not_change_the_id(spec: ImageSpec, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(spec.go_root, moved)
    assert image.fingerprint(dataclasses.replace(spec, go_root=moved)) == image.fingerprint(spec)


def test_byte_code_caches_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("a")
    before = digests.of_folder(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/a.pyc").write_bytes(b"cache")
    assert digests.of_folder(tmp_path) == before


def test_the_playbooks_packages_are_the_images() -> None:
    packages = image.default_packages()
    assert {"bpftrace", "clang", "linux-image-cloud-amd64", "openssh-server", "python3"} <= set(packages)
    assert list(packages) == sorted(set(packages))


def test_an_unknown_recipe_is_told_with_the_known_ones(go_root: Path) -> None:
    with pytest.raises(ConfigError, match="there is no image debian-99") as raised:
        image.image_spec(MachineSpec(image="debian-99"), go_root=go_root)
    assert "debian-12" in raised.value.fix


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_is_an_image_of_its_own(go_root: Path, name: str) -> None:
    made = image.image_spec(MachineSpec(image=name), go_root=go_root)
    assert "linux-image-cloud-amd64" in made.packages
    others = [image.image_spec(MachineSpec(image=other), go_root=go_root) for other in RECIPES if other != name]
    assert image.fingerprint(made) not in {image.fingerprint(other) for other in others}


def test_a_release_without_the_plain_compiler_gets_another_under_its_name(go_root: Path) -> None:
    made = image.image_spec(MachineSpec(image="debian-11"), go_root=go_root)
    assert {"clang-16", "llvm-16"} <= set(made.packages)
    assert not {"clang", "llvm"} & set(made.packages)
    assert dict(made.links)["/usr/local/bin/clang"] == "/usr/bin/clang-16"


def test_what_is_edited_while_it_is_made_does_not_lose_it(
    lab: Lab, spec: ImageSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = image.fingerprint(spec)

    def make(lab: Lab, spec: ImageSpec, ident: str, deadline: object) -> None:
        _new_version(spec.go_root)  # an input of the id changes meanwhile
        directory = lab.paths.images / ident
        directory.mkdir(parents=True)
        for name in image.FILES:
            (directory / name).write_text(name)
        image_seal.seal(directory, image.FILES, {})

    monkeypatch.setattr(image, "_make", make)
    made = image.bake(lab, spec)
    assert made.id == before != image.fingerprint(spec)


def test_another_processor_is_refused_at_once(go_root: Path) -> None:
    with pytest.raises(PreconditionError, match="not aarch64"):
        image.image_spec(MachineSpec(image="debian-11", arch="aarch64"), go_root=go_root)


def test_another_processor_has_packages_of_its_own_names(go_root: Path) -> None:
    made = image.image_spec(MachineSpec(arch="aarch64"), go_root=go_root)
    assert "linux-image-cloud-arm64" in made.packages
    assert "linux-image-cloud-amd64" not in made.packages
    with_its_go = dataclasses.replace(made, guest_go=go_root)
    assert image.fingerprint(with_its_go) != image.fingerprint(made)


def test_a_folder_that_is_no_toolchain_is_named(spec: ImageSpec, tmp_path: Path) -> None:
    with pytest.raises(PreconditionError, match="is not a Go toolchain"):
        image.fingerprint(dataclasses.replace(spec, go_root=tmp_path / "nothing"))


def test_too_little_space_is_told_in_bytes(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(PreconditionError, match=r"needs \d+(,\d{3}){3} bytes in .*, [\d,]+ are free"):
        image.need_space(tmp_path / "images", needed_mib=free // image.MIB + 10_000)
    image.need_space(tmp_path / "images", needed_mib=1)


def test_no_image_yet_is_none(lab: Lab, spec: ImageSpec) -> None:
    assert image.find(lab, spec) is None


def test_a_found_image_is_checked(lab: Lab, spec: ImageSpec) -> None:
    directory = lab.paths.images / image.fingerprint(spec)
    directory.mkdir(parents=True)
    for name in image.FILES:
        (directory / name).write_text(name)
    image_seal.seal(directory, image.FILES, {})
    found = image.find(lab, spec)
    assert found is not None
    assert (found.disk.name, found.kernel.name, found.initrd.name) == image.FILES
    (directory / "vmlinux").write_text("VMLINUX")
    with pytest.raises(SecurityStop, match="vmlinux has digest") as bad:
        image.find(lab, spec)
    assert str(directory) in bad.value.fix


def test_a_work_folder_with_a_mount_inside_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "baking-x"
    (work / "tree/proc").mkdir(parents=True)
    monkeypatch.setattr(image, "_mount_points", lambda: ["/", f"{work.resolve()}/tree/proc"])
    with pytest.raises(Exception, match="mounts inside"):
        image.discard(work)
    assert work.exists()
    monkeypatch.undo()
    image.discard(work)
    assert not work.exists()


def test_every_tool_that_is_missing_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.system.proc.which", lambda name: None if name in ("mke2fs", "unshare") else Path("/bin/x"))
    findings = host_packages.check_host(HOST_ARCH)
    assert {finding.data["command"]: finding.fix for finding in findings} == {
        "mke2fs": "apt-get install e2fsprogs",
        "unshare": "apt-get install util-linux",
    }
    assert all(finding.verdict == "fail" for finding in findings)


@pytest.mark.parametrize(
    ("system", "fix"), [("darwin", "brew install qemu"), ("win32", "winget install SoftwareFreedomConservancy.QEMU")]
)
def test_where_nothing_is_baked_no_debian_package_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, system: str, fix: str
) -> None:
    monkeypatch.setattr("lab.machines.images.golden.PLATFORM", system)
    monkeypatch.setattr("lab.system.tool_paths.PLATFORM", system)
    monkeypatch.setattr("lab.system.proc.which", lambda name: Path("/bin/ssh") if name == "ssh" else None)
    findings = host_packages.check_host(HOST_ARCH)
    assert {finding.data["command"].split("-")[0] for finding in findings} == {"qemu"}
    assert {finding.fix for finding in findings} == {fix}


def test_an_ordinary_user_needs_no_tool_to_bake_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    commands = {one.command for one in host_packages.needed(HOST_ARCH)}
    assert "mmdebstrap" not in commands
    assert {"qemu-img", "clang"} <= commands


def test_a_copied_toolchain_has_programs_wherever_it_came_from(tmp_path: Path) -> None:
    """A toolchain fetched as a module for another processor has none yet: Go marks only the one that it runs."""
    for name in ("bin/go", "pkg/tool/linux_arm64/compile", "src/fmt/print.go", "VERSION"):
        path = tmp_path / "module" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        path.chmod(0o444)
    rootfs.copy_go(tmp_path / "module", tmp_path / "copy")
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert modes == {"go": 0o755, "compile": 0o755, "print.go": 0o644, "VERSION": 0o644}
