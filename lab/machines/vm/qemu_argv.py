"""QEMU's command line, as a pure function of what is wanted: the golden file of its test is the reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.machines.vm import heartbeat
from lab.machines.vm.kernel_args import kernel_args
from lab.model.machine import INSTRUCTION_NS, Arch

HOT_PORTS: Final = 4  # q35's root bus does not support hot plug, so empty root ports are added in advance
SSH_PORT: Final = 22
# Virtio serials by which the init finds a disk: its root (playbooks/init/disks.go), and the modules of a kernel that is
# not the image's (playbooks/init/modules.go).
ROOT_SERIAL: Final = "lab-root"
MODULES_SERIAL: Final = "lab-modules"
PROGRAMS: Final[dict[Arch, str]] = {"x86_64": "qemu-system-x86_64", "aarch64": "qemu-system-aarch64"}
MACHINES: Final[dict[Arch, str]] = {
    "x86_64": "q35,usb=off,vmport=off,hpet=off,smbus=off,sata=off",
    "aarch64": "virt,usb=off",
}
# One instruction is 2**shift ns of guest time; while the guest idles, its clock follows the host's.
ICOUNT: Final = f"shift={INSTRUCTION_NS.bit_length() - 1},sleep=on"
# The fastest to emulate that the distributions' binaries run on: AVX, and Arm's pointer authentication, cost. With
# RDRAND the kernel's random numbers are ready before a second CPU runs, and switch no code under it later (ADR 10).
EMULATED_CPUS: Final[dict[Arch, str]] = {"x86_64": "Nehalem,+rdrand", "aarch64": "cortex-a72"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """One start of one machine. `modules`: a disk with those of a kernel that is not the image's.

    counted: the guest's clock advances with the instructions that its one CPU executes.
    `ssh_port` is on 127.0.0.1; `serial` and `heartbeat` are sockets on which QEMU serves the machine's keeper.
    """

    name: str
    uuid: str
    arch: Arch
    accel: str
    cpus: int
    memory_mib: int
    kernel: Path
    initrd: Path
    overlay: Path
    ssh_port: int
    qmp: Path
    serial: Path
    heartbeat: Path
    modules: Path | None = None
    counted: bool = False


def cpu_model(accel: str, arch: Arch) -> str:
    """The fastest CPU that the accelerator gives."""
    return EMULATED_CPUS[arch] if accel == "tcg" else "host"


def accelerator(accel: str, *, counted: bool = False) -> str:
    """Instructions are counted on one thread only."""
    return f"tcg,thread={'single' if counted else 'multi'}" if accel == "tcg" else accel


def machine_type(accel: str, arch: Arch) -> str:
    """The machine type without optional devices; KVM on Arm needs the version of the interrupt controller."""
    return MACHINES[arch] + (",gic-version=max" if arch == "aarch64" and accel == "kvm" else "")


def base_argv(program: str, accel: str, arch: Arch, *, counted: bool = False) -> list[str]:
    """The arguments of every QEMU: no defaults, no user configuration."""
    bare = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    kind = [
        "-machine",
        machine_type(accel, arch),
        "-accel",
        accelerator(accel, counted=counted),
        "-cpu",
        cpu_model(accel, arch),
    ]
    return [program, *bare, *kind]


def boot_argv(boot: Boot, *, program: str) -> list[str]:
    """The whole command line; paths may hold any character (QEMU doubles commas inside an option's value)."""
    argv = base_argv(program, boot.accel, boot.arch, counted=boot.counted)
    argv += ["-name", f"lab-{boot.name}", "-uuid", boot.uuid]
    argv += ["-icount", ICOUNT] if boot.counted else []
    argv += ["-smp", str(boot.cpus), "-m", f"{boot.memory_mib}M"]
    argv += [
        "-kernel",
        str(boot.kernel),
        "-initrd",
        str(boot.initrd),
        "-append",
        kernel_args(boot.arch, counted=boot.counted),
    ]
    argv += _disk(boot) + _network(boot) + ["-device", "virtio-rng-pci"]
    argv += _heartbeat(boot) + _hot_ports()
    argv += ["-chardev", served("serial", boot.serial), "-serial", "chardev:serial"]
    return [*argv, "-qmp", f"unix:{_value(boot.qmp)},server=on,wait=off"]


def _disk(boot: Boot) -> list[str]:
    # cache=unsafe: a machine that dies with its host is created again, never repaired
    drive = f"if=none,id=root,file={_value(boot.overlay)},format=qcow2,cache=unsafe,discard=unmap"
    argv = ["-drive", drive, "-device", f"virtio-blk-pci,drive=root,serial={ROOT_SERIAL}"]
    if boot.modules is not None:
        drive = f"if=none,id=modules,file={_value(boot.modules)},format=raw,readonly=on"
        argv += ["-drive", drive, "-device", f"virtio-blk-pci,drive=modules,serial={MODULES_SERIAL}"]
    return argv


def _network(boot: Boot) -> list[str]:
    # restrict: the machine reaches neither the network nor this host's loopback; only the forwarded port leads in
    forward = f"hostfwd=tcp:127.0.0.1:{boot.ssh_port}-:{SSH_PORT}"
    return ["-netdev", f"user,id=net,ipv6=off,restrict=on,{forward}", "-device", "virtio-net-pci,netdev=net,romfile="]


def _heartbeat(boot: Boot) -> list[str]:
    port = f"virtserialport,chardev=heartbeat,name={heartbeat.PORT}"
    return ["-device", "virtio-serial-pci", "-chardev", served("heartbeat", boot.heartbeat), "-device", port]


def served(name: str, socket: Path) -> str:
    """A character device: a socket on which QEMU waits for its one reader."""
    # a `file` is unbounded, and root in the machine writes it; wait: the keeper misses nothing (docs/adr/0009)
    return f"socket,id={name},path={_value(socket)},server=on,wait=on"


def _hot_ports() -> list[str]:
    argv = []
    for number in range(HOT_PORTS):
        argv += ["-device", f"pcie-root-port,id=hot{number},chassis={number + 1}"]
    return argv


def _value(path: Path) -> str:
    return str(path).replace(",", ",,")
