"""QEMU's command line is a pure function; its golden file is what a reader of the code should look at first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.machines.vm.qemu_argv import PROGRAMS, Boot, boot_argv, machine_type
from lab.model.machine import INSTRUCTION_NS, Arch

GOLDEN = Path(__file__).parents[2] / "golden" / "argv"
BOOT = Boot(
    name="lab",
    uuid="00112233-4455-6677-8899-aabbccddeeff",
    arch="x86_64",
    accel="tcg",
    cpus=2,
    memory_mib=2048,
    kernel=Path("/cache/image/vmlinux"),
    initrd=Path("/machines/lab/initrd.cpio"),
    overlay=Path("/machines/lab/disk.qcow2"),
    ssh_port=40022,
    qmp=Path("/tmp/lab-0/001122334455/qmp"),
    serial=Path("/run/lab/tty"),
    heartbeat=Path("/run/lab/hb"),
)


@pytest.mark.parametrize(("arch", "accel", "name"), [
    ("x86_64", "tcg", "tcg"), ("x86_64", "kvm", "kvm"),
    ("aarch64", "tcg", "arm64-tcg"), ("aarch64", "hvf", "arm64-hvf"),
])  # fmt: skip
def test_the_command_line_is_the_golden_one(arch: Arch, accel: str, name: str) -> None:
    argv = boot_argv(replace(BOOT, accel=accel, arch=arch), program=PROGRAMS[arch])
    assert "\n".join(argv) + "\n" == (GOLDEN / f"qemu-{name}.txt").read_text(encoding="utf-8")


def test_a_counted_machine_runs_one_thread_whose_instructions_are_its_clock() -> None:
    argv = boot_argv(replace(BOOT, counted=True, cpus=1), program=PROGRAMS["x86_64"])
    plain = boot_argv(replace(BOOT, cpus=1), program=PROGRAMS["x86_64"])
    assert argv[argv.index("-icount") + 1] == "shift=1,sleep=on"
    assert INSTRUCTION_NS == 2  # 2 ** shift
    assert argv[argv.index("-accel") + 1] == "tcg,thread=single"
    assert argv[argv.index("-append") + 1] == plain[plain.index("-append") + 1] + " norandmaps"
    assert "-icount" not in plain


def test_kvm_is_told_the_interrupt_controller_of_a_real_arm_host() -> None:
    assert machine_type("kvm", "aarch64") == "virt,usb=off,gic-version=max"


def test_a_machine_reaches_nothing_and_listens_on_loopback_only() -> None:
    argv = boot_argv(BOOT, program="qemu")
    network = argv[argv.index("-netdev") + 1].split(",")
    assert "restrict=on" in network
    assert [option for option in network if option.startswith("hostfwd=")] == ["hostfwd=tcp:127.0.0.1:40022-:22"]
    assert not [word for word in argv if word.startswith(("tcp:", "telnet:", "vnc"))]


def test_a_comma_in_a_path_stays_in_the_path() -> None:
    argv = boot_argv(replace(BOOT, overlay=Path("/a,b/disk.qcow2")), program="qemu")
    assert any("file=/a,,b/disk.qcow2,format=qcow2" in word for word in argv)


def test_modules_of_another_kernel_are_a_disk_that_nobody_writes() -> None:
    argv = boot_argv(replace(BOOT, modules=Path("/cache/kernels/a,b/modules.ext4")), program="qemu")
    drive = next(word for word in argv if "id=modules" in word)
    assert "file=/cache/kernels/a,,b/modules.ext4" in drive
    assert "readonly=on" in drive
    assert "virtio-blk-pci,drive=modules,serial=lab-modules" in argv
    assert "lab-modules" not in " ".join(boot_argv(BOOT, program="qemu"))
