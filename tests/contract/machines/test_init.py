"""The machine's init: its own Go tests, and that what is built is static and the same every time."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from lab.machines.images import golden, rootfs
from lab.model.lab import Lab
from lab.system import resources
from lab.system.toolchain import host_target
from lab.system.wait import Deadline
from tests.support import lab_at, test_home

pytestmark = pytest.mark.contract
BUILD_S = 170.0


@pytest.fixture(scope="module")
def lab() -> Lab:
    return lab_at(test_home())


@pytest.fixture(scope="module")
def go_root(lab: Lab) -> Path:
    return golden.go_root(lab)


def test_its_own_tests_pass(lab: Lab, go_root: Path) -> None:
    argv = [str(go_root / "bin/go"), "test", "-trimpath", "-count=1", "./..."]  # one standard library with the build
    source = resources.root() / rootfs.INIT_SOURCE
    environment = rootfs.init_environment(lab, go_root, host_target()[1])
    done = subprocess.run(argv, cwd=source, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_binary_is_static_and_does_not_depend_on_where_it_was_built(
    lab: Lab, go_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rootfs.build_init(lab, go_root, host_target()[1], tmp_path / "here", Deadline.after(BUILD_S))
    shutil.copytree(resources.root() / rootfs.INIT_SOURCE, tmp_path / "copy" / rootfs.INIT_SOURCE)
    monkeypatch.setattr(resources, "root", lambda: tmp_path / "copy")
    rootfs.build_init(lab, go_root, host_target()[1], tmp_path / "there", Deadline.after(BUILD_S))
    here = (tmp_path / "here").read_bytes()
    assert here == (tmp_path / "there").read_bytes()
    kinds = {segment.header.p_type for segment in ELFFile(io.BytesIO(here)).iter_segments()}
    assert "PT_LOAD" in kinds
    assert "PT_INTERP" not in kinds  # a dynamic linker, which an initial RAM disk does not have


def test_outside_a_machine_it_says_what_it_is_for(lab: Lab, go_root: Path, tmp_path: Path) -> None:
    rootfs.build_init(lab, go_root, host_target()[1], tmp_path / "init", Deadline.after(BUILD_S))
    done = subprocess.run([str(tmp_path / "init")], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage: lab-init heartbeat" in done.stderr


def test_a_heartbeat_without_a_port_has_nobody_to_tell(lab: Lab, go_root: Path, tmp_path: Path) -> None:
    rootfs.build_init(lab, go_root, host_target()[1], tmp_path / "init", Deadline.after(BUILD_S))
    done = subprocess.run([str(tmp_path / "init"), "heartbeat"], capture_output=True, timeout=10, check=False)
    assert (done.returncode, done.stdout) == (0, b"")
