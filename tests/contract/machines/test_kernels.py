"""Kernels in real machines: of every recipe, and one of one's own under another image's disk, by what answers there."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.machines import lifecycle, readiness, steps
from lab.machines.images import golden
from lab.machines.images.image import Image
from lab.machines.images.recipes import RECIPES
from lab.machines.provisioning import playbook
from lab.model.config import Config
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import Machine, MachineSpec
from lab.model.paths import Paths
from lab.remote.base import Transport
from lab.system.wait import Deadline
from tests.support import run_lab, test_home

ONE = MachineSpec(name="kernels", memory_mib=1024, clock="real")
OTHERS = sorted(set(RECIPES) - {ONE.image})
# Each kind of probe once, on something that happens by itself or by the command below.
PROBES = """
tracepoint:sched:sched_process_exec { @tracepoint = 1; }
kprobe:vfs_read { @kprobe = 1; }
uprobe:/bin/bash:main { @uprobe = 1; }
interval:s:8 { exit(); }
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A home of its own with the shared cache below it."""
    with tempfile.TemporaryDirectory(prefix="lab-kernels-") as folder:
        home = Path(folder)
        (test_home() / "cache").mkdir(parents=True, exist_ok=True)
        (home / "cache").symlink_to(test_home() / "cache")
        yield Lab(config=Config(), paths=Paths(home=home), bus=Bus())


@contextmanager
def machine(lab: Lab, spec: MachineSpec) -> Iterator[tuple[Machine, Transport]]:
    try:
        made = lifecycle.up(lab, spec, lock_timeout_s=5)
        assert made.handle is not None
        assert made.endpoint is not None
        directory = lab.paths.machine(spec.name)
        with readiness.open_session(lab, steps.provider_of(made), made.handle, made.endpoint, directory) as link:
            yield made, link
    finally:
        lifecycle.down(lab, spec.name)


def said(link: Transport, script: str) -> str:
    result = link.run(["sh", "-ec", script], Deadline.after(240))
    assert result.ok, result.tail()
    return result.text().strip()


def taken_apart(image: Image, release: str, folder: Path) -> Path:
    """The modules of an image's kernel, read from its disk without a mount."""
    argv = ["/sbin/debugfs", "-R", f"rdump /usr/lib/modules/{release} {folder}", str(image.disk)]
    subprocess.run(argv, check=True, capture_output=True)
    return folder / release


def own(lab: Lab, image_name: str, folder: Path) -> tuple[MachineSpec, str]:
    """The kernel of one image as somebody's own, under the disk of the usual one."""
    from_image = MachineSpec(image=image_name)
    image, release = golden.ensure(lab, from_image), golden.bootable(lab, from_image).release
    modules = taken_apart(image, release, folder)
    (modules / "modules.dep").unlink()  # as a package brings it
    spec = MachineSpec(
        name=ONE.name, memory_mib=ONE.memory_mib, clock="real", kernel=str(image.kernel), modules=str(modules)
    )
    return spec, release


def prove(lab: Lab, spec: MachineSpec, release: str) -> None:
    with machine(lab, spec) as (made, link):
        assert said(link, "uname -r") == release
        assert [
            found.name
            for found in playbook.verify(link, Deadline.after(120), wait_s=60).findings
            if found.verdict != "ok"
        ] == []
        told = json.loads(run_lab("status", "--json", home=lab.paths.home).stdout)["machines"][0]
        assert (told["kernel"], told["image"]) == (release, made.image_id)
        mounted = said(link, f"grep -c ' /usr/lib/modules/{release} ext4 ro' /proc/mounts || true")
        assert (mounted == "1", "+" in made.image_id) == (bool(spec.kernel), bool(spec.kernel))
        assert "sch_ingress" in said(link, "modprobe sch_ingress && cut -d' ' -f1 /proc/modules")
        assert lifecycle.up(lab, spec, lock_timeout_s=5).ready_boot_id == made.ready_boot_id


@pytest.mark.vm
@pytest.mark.timeout(600)
def test_a_kernel_of_ones_own_starts_with_its_modules(lab: Lab, tmp_path: Path) -> None:
    """The image's own one, taken apart: what is proven is the way, in the time of one boot."""
    spec, release = own(lab, ONE.image, tmp_path)
    prove(lab, spec, release)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_another_series_of_ones_own_under_the_usual_disk(lab: Lab, tmp_path: Path) -> None:
    spec, release = own(lab, "debian-13", tmp_path)
    assert release.startswith(f"{RECIPES['debian-13'].kernel}.")
    prove(lab, spec, release)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", OTHERS)
def test_each_recipe_starts_its_kernel_and_bpf_attaches(lab: Lab, name: str) -> None:
    spec = MachineSpec(name=ONE.name, memory_mib=ONE.memory_mib, clock="real", image=name)
    golden.ensure(lab, spec)
    release = golden.bootable(lab, spec).release
    assert release.startswith(f"{RECIPES[name].kernel}.")
    prove(lab, spec, release)
    with machine(lab, spec) as (_, link):
        busy = "(while sleep 1; do bash -c true; done) >/dev/null 2>&1 & busy=$!"
        told = said(link, f"{busy}; bpftrace -e '{PROBES}'; kill $busy")
        assert {word for word in ("@tracepoint: 1", "@kprobe: 1", "@uprobe: 1") if word in told} == {
            "@tracepoint: 1",
            "@kprobe: 1",
            "@uprobe: 1",
        }, told
