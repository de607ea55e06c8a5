"""Acceleration is decided by what worked, not by what is there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import get_args

import pytest
from elftools.elf.elffile import ELFFile

from lab.machines.images.kernels.file import ELF_ARCHS
from lab.machines.providers.qemu import check as qemu_check
from lab.machines.vm import acceleration
from lab.machines.vm.acceleration import TINY, Accel, choose, version
from lab.model.config import Config
from lab.model.errors import PreconditionError
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH, Arch
from lab.model.paths import Paths
from lab.system import tool_paths

OTHER: Arch = "aarch64" if HOST_ARCH == "x86_64" else "x86_64"
QEMU_7 = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)"


def never(_: str) -> bool:
    raise AssertionError("a trial that nobody needs")


def test_what_was_asked_for_is_not_tried() -> None:
    assert choose("kvm", ("kvm",), never).name == "kvm"
    assert choose("tcg", ("kvm",), never).name == "tcg"


def test_the_first_that_boots_is_taken() -> None:
    assert choose("auto", ("kvm", "other"), lambda name: name == "other").name == "other"
    assert choose("auto", ("kvm",), lambda _: True) == Accel(name="kvm", reason="a trial boot with kvm succeeded")


def test_present_but_broken_falls_back_and_says_so() -> None:
    found = choose("auto", ("kvm",), lambda _: False)
    assert found.name == "tcg"
    assert "kvm" in found.reason
    assert "failed" in found.reason
    shown = qemu_check.accel("auto", ("kvm",), found)
    assert (shown.verdict, "tcg" in shown.message, bool(shown.fix)) == ("warn", True, True)


def test_nothing_there_needs_no_trial() -> None:
    assert choose("auto", (), never).name == "tcg"
    assert qemu_check.accel("auto", (), None).verdict == "warn"


def test_each_kernel_is_tried_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Path] = []

    def trial(lab: Lab, name: str, *, program: str, kernel: Path, arch: Arch) -> bool:
        tried.append(kernel)
        return kernel.name == "good"

    monkeypatch.setattr(acceleration, "candidates", lambda: ("kvm",))
    monkeypatch.setattr(acceleration, "trial", trial)
    monkeypatch.setattr(acceleration, "version_text", lambda program: QEMU_7)
    lab = Lab(config=Config(), paths=Paths(home=tmp_path), bus=Bus())
    for _ in range(2):
        for name, accel in (("bad", "tcg"), ("good", "kvm")):
            found = acceleration.find(lab, "auto", program="qemu", kernel=Path(name), digest=name)
            assert found.name == accel
    assert [path.name for path in tried] == ["bad", "good"], "once each"
    known = acceleration.remembered(lab, "qemu")
    assert known is not None
    assert known.name == "kvm", "without a kernel: the last one that was tried"


@pytest.mark.parametrize("arch", get_args(Arch))
def test_the_trial_program_is_a_small_whole_executable(arch: Arch) -> None:
    program = TINY[arch]()
    elf = ELFFile(io.BytesIO(program))
    assert (ELF_ARCHS[elf.header.e_machine], elf.elfclass) == (arch, 64)
    assert [(segment.header.p_type, segment.header.p_offset) for segment in elf.iter_segments()] == [("PT_LOAD", 0)]
    assert len(program) < 300
    assert program.endswith(acceleration.MARK)


def test_a_machine_of_another_kind_is_emulated_without_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration, "trial", never)
    lab = Lab(config=Config(), paths=Paths(home=tmp_path), bus=Bus())
    found = acceleration.find(lab, "auto", program="qemu", kernel=Path("vmlinux"), arch=OTHER)
    assert found == Accel(name="tcg", reason=f"this host is not {OTHER}")
    asked = qemu_check.foreign("kvm", OTHER)
    assert (asked.verdict, asked.fix) == ("fail", "remove --accel")
    assert qemu_check.foreign("auto", OTHER).verdict == "warn"


@pytest.mark.parametrize(
    ("text", "seen"),
    [(QEMU_7, (7, 2)), ("QEMU emulator version 10.0.2", (10, 0)), ("QEMU emulator version 11.0.50 (v11)", (11, 0))],
)
def test_versions(text: str, seen: tuple[int, int]) -> None:
    assert version(text) == seen


def test_something_else_is_not_qemu() -> None:
    with pytest.raises(PreconditionError, match="not QEMU"):
        version("busybox 1.35")


def test_qemu_missing_or_too_old_or_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_paths, "PLATFORM", "linux")
    assert qemu_check.qemu_version(None).verdict == "fail"
    assert qemu_check.qemu_version(None).fix == "lab doctor --install"
    assert qemu_check.qemu_version(None, OTHER).fix == f"lab doctor --install --arch {OTHER}"
    old = qemu_check.qemu_version("QEMU emulator version 4.2.1")
    assert (old.verdict, "too old" in old.message, "6.2" in old.fix) == ("fail", True, True)
    fine = qemu_check.qemu_version(QEMU_7)
    assert (fine.verdict, fine.message) == ("ok", QEMU_7)
    newer = qemu_check.qemu_version("QEMU emulator version 10.1.0")
    assert (newer.verdict, "not tested: lab's tests run with 7.2" in newer.message) == ("ok", True)


def test_a_full_disk_is_told_with_both_numbers() -> None:
    from pathlib import Path

    found = qemu_check.disk(Path("/home"), free_bytes=1_000_000)
    assert found.verdict == "fail"
    assert "1,000,000" in found.message
    assert "1,572,864,000" in found.message
    assert qemu_check.disk(Path("/home"), free_bytes=2 << 30).verdict == "ok"


def test_too_little_memory_names_a_size_that_fits() -> None:
    found = qemu_check.memory(4096, available_bytes=3000 << 20)
    assert found.verdict == "fail"
    assert "2700" in found.fix
    assert qemu_check.memory(2048, available_bytes=3000 << 20).verdict == "ok"


@pytest.mark.parametrize(
    ("wanted", "verdict"), [("kvm", "ok"), ("tcg", "ok"), ("hvf", "fail"), ("kvmx", "fail"), ("", "fail")]
)
def test_an_acceleration_that_is_not_here_is_told_before_anything_is_made(wanted: str, verdict: str) -> None:
    found = qemu_check.accel(wanted, ("kvm",), None)
    assert found.verdict == verdict
    assert verdict == "ok" or found.fix == "use --accel auto or tcg or kvm"
