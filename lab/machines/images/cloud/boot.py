"""A bootstrap boot: starts a cloud image once by its own loader, with network access, to convert it."""

from __future__ import annotations

import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.machines import first_boot
from lab.machines.vm import acceleration, keeper, qemu_argv
from lab.machines.vm import console as serial
from lab.model.errors import LabError, PreconditionError, ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH, Arch, MachineSpec, Seed, SshEndpoint
from lab.remote import connect
from lab.remote.base import Transport
from lab.system import proc, store
from lab.system.wait import Deadline, NotYet, until

GO_SERIAL: Final = "lab-go"
ANSWER_S: Final = 90.0  # until SSH answers; the boot of a whole distribution, scaled where it is emulated
END_S: Final = 90.0
LOG: Final = "bootstrap.log"
SERIAL: Final = "bootstrap.serial"
# The paths of 64-bit Arm firmware in the QEMU and EDK2 packages of several systems.
FIRMWARE: Final = (
    "/usr/share/AAVMF/AAVMF_CODE.fd",
    "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
    "/usr/share/edk2/aarch64/QEMU_EFI.fd",
    "/usr/share/edk2-armvirt/aarch64/QEMU_EFI.fd",
    "/usr/share/qemu/edk2-aarch64-code.fd",
    "/opt/homebrew/share/qemu/edk2-aarch64-code.fd",
    "/usr/local/share/qemu/edk2-aarch64-code.fd",
    "/opt/local/share/qemu/edk2-aarch64-code.fd",
)
BESIDE: Final = ("share/edk2-aarch64-code.fd", "../share/qemu/edk2-aarch64-code.fd")  # of QEMU's own program
PLATFORM: str = sys.platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """One bootstrap boot. `disk` is qcow2 and ours; `seed` and `go` are read-only disks; `firmware` only for Arm."""

    arch: Arch
    accel: str
    cpus: int
    memory_mib: int
    disk: Path
    seed: Path
    go: Path
    port: int
    serial: Path  # its console's log
    firmware: Path | None = None


def argv(boot: Bootstrap, console: Path, *, program: str) -> list[str]:
    """The whole command line; `console` is a socket whose reader writes the log.

    The machine reaches the network, to install packages; only SSH leads in.
    """
    line = qemu_argv.base_argv(program, boot.accel, boot.arch)
    line += ["-smp", str(boot.cpus), "-m", f"{boot.memory_mib}M"]
    if boot.firmware is not None:
        line += ["-bios", str(boot.firmware)]
    if boot.arch == "x86_64":
        line += ["-device", "VGA"]  # the loaders of some images wait for a display
    line += ["-drive", f"if=none,id=root,file={_value(boot.disk)},format=qcow2,cache=unsafe,discard=unmap"]
    line += ["-device", "virtio-blk-pci,drive=root,bootindex=0"]
    for name, path, label in (("seed", boot.seed, "lab-seed"), ("go", boot.go, GO_SERIAL)):
        line += ["-drive", f"if=none,id={name},file={_value(path)},format=raw,readonly=on"]
        line += ["-device", f"virtio-blk-pci,drive={name},serial={label}"]
    line += ["-netdev", f"user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:{boot.port}-:22"]
    line += ["-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"]
    return [*line, "-chardev", qemu_argv.served("serial", console), "-serial", "chardev:serial"]


def _value(path: Path) -> str:
    return str(path).replace(",", ",,")


def firmware(arch: Arch, program: str) -> Path | None:
    """The UEFI firmware of an Arm machine; None where QEMU has its own. Raises PreconditionError."""
    if arch == "x86_64":
        return None
    beside = [Path(program).resolve().parent / place for place in BESIDE]
    for path in (*beside, *map(Path, FIRMWARE)):
        if path.is_file():
            return path
    fix = {"darwin": "brew install qemu", "win32": "reinstall QEMU"}.get(PLATFORM, "apt-get install qemu-efi-aarch64")
    raise PreconditionError("UEFI firmware for aarch64 machines is not installed", fix=fix)


def accelerators(lab: Lab, spec: MachineSpec, program: str) -> list[str]:
    """The accelerators to try, in order: there is no kernel for a trial boot yet, so the boot itself is the trial."""
    if spec.accel != "auto":
        return [spec.accel]
    if spec.arch != HOST_ARCH:
        return [acceleration.EMULATION]
    known = acceleration.remembered(lab, program)
    return [known.name] if known is not None else [*acceleration.candidates(), acceleration.EMULATION]


@contextmanager
def running(boot: Bootstrap, seed: Seed, deadline: Deadline) -> Iterator[tuple[SshEndpoint, Future[proc.Result]]]:
    """Run it until the block ends. The second value is done when the system has shut down."""
    stop = threading.Event()
    program = proc.require_tool(qemu_argv.PROGRAMS[boot.arch])
    boot.serial.unlink(missing_ok=True)
    where = SshEndpoint(
        host="127.0.0.1",
        port=boot.port,
        user=first_boot.USER,
        identity_file=seed.user_key_private,
        host_key=" ".join(seed.host_key_public.split()[:2]),
    )
    gone = threading.Event()
    with tempfile.TemporaryDirectory(prefix="lab-") as run_dir, ThreadPoolExecutor(max_workers=2) as beside:
        console = Path(run_dir) / keeper.SOCKETS["serial"]  # a socket's path must be short
        line = proc.die_with_parent(argv(boot, console, program=program))
        ended = beside.submit(
            proc.run, line, deadline=Deadline(deadline.at_s, stop), log=boot.serial.with_name(LOG)
        )  # fmt: skip
        ended.add_done_callback(lambda _: gone.set())
        beside.submit(keeper.pump, console, keeper.Capped(boot.serial, keeper.SERIAL_BYTES).write, gone)
        try:
            yield where, ended
        finally:
            stop.set()


def reach(lab: Lab, boot: Bootstrap, where: SshEndpoint, ended: Future[proc.Result], deadline: Deadline) -> Transport:
    """A connection as root, as soon as the first boot allows one. Raises ProvisioningError with the console's tail."""

    def probe() -> Transport | NotYet:
        if ended.done():
            output = ended.result().tail()
            raise ProvisioningError("QEMU exited before the image had booted", fix="lab doctor", detail=output)
        try:
            return connect(lab, where, Deadline.after(30.0, lab.cancel))
        except LabError as error:  # also for another host key: the image has its own until cloud-init has run
            if error.exit_code == 130:
                raise
            return NotYet(reason=error.message)

    limit = deadline.sooner(acceleration.scaled_s(ANSWER_S, boot.accel))
    try:
        return until(probe, what="the image's first boot", deadline=limit, hint="lab doctor", poll_s=1.0)
    except ProvisioningError as error:
        error.detail = (
            error.detail or serial.tail(_console(boot)) or "(its console is empty: is the image for this architecture?)"
        )
        error.log = str(boot.serial)
        raise


def wait_end(lab: Lab, ended: Future[proc.Result], accel: str) -> None:
    """Until the system has shut down and QEMU has exited. Raises ProvisioningError."""

    def probe() -> bool | NotYet:
        return True if ended.done() else NotYet(reason="it is still running")

    limit = Deadline.after(acceleration.scaled_s(END_S, accel), lab.cancel)
    until(probe, what="the image to shut down", deadline=limit, hint="run the command again")
    result = ended.result()
    if not result.ok:
        raise ProvisioningError("QEMU failed", fix="run the command again", detail=result.tail())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _console(boot: Bootstrap) -> str:
    return store.tail(boot.serial).decode("utf-8", "replace")
