"""QEMU machines from the golden image; the default provider."""

from __future__ import annotations

import contextlib
import re
import shutil
import uuid as uuids
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lab.machines.hang import LATE_S
from lab.machines.images import golden
from lab.machines.providers.qemu import process as qemu_process
from lab.machines.providers.qemu import pulse
from lab.machines.providers.qemu import snapshot as qemu_snapshot
from lab.machines.providers.qemu.qmp import Qmp, QmpRefused
from lab.machines.providers.qemu.start import INITRD_FILE, QEMU_LOG, QemuHandle, control, endpoint, keep_again, spawn
from lab.machines.vm import acceleration, heartbeat, initrd, qcow2, qemu_argv
from lab.machines.vm.console import panic_text
from lab.model.errors import ProvisioningError, UsageError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Clock, Features, Finding, MachineSpec, Observed, Phase, Seed, SshEndpoint
from lab.model.paths import HEARTBEAT_LOG, OVERLAY_FILE, SERIAL_LOG
from lab.system import proc, store
from lab.system.wait import Deadline

FEATURES: Final = Features(isolated=True, disks=True, custom_kernel=True, counted=True, snapshots=True)
TESTED_WITH: Final = "Debian 12, QEMU 7.2, emulated (no usable KVM)"
START_S: Final = 60.0
KEPT_S: Final = 5.0
PATIENCE_S: Final = 10.0  # for a QEMU that does not answer, before it is ended
SERIAL_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,20}")  # virtio-blk cuts a serial at 20 bytes
IMAGE_ID_PLACE: Final = "etc/lab/image-id"
PAUSED: Final = ("paused", "io-error")
HANDLE: Final = QemuHandle
save: Final = qemu_snapshot.save
restore: Final = qemu_snapshot.restore
changed: Final = qemu_snapshot.changed
free: Final = pulse.free


def check(lab: Lab, spec: MachineSpec) -> list[Finding]:
    """Checks QEMU, acceleration, disk, memory and socket path before anything is created."""
    from lab.machines.providers.qemu import check as qemu_check

    return qemu_check.check(lab, spec)


def create(lab: Lab, spec: MachineSpec, seed: Seed, directory: Path) -> QemuHandle:
    """Create the machine's disk as an overlay of the image, and its initial RAM disk: the image's with the seed."""
    boot = golden.bootable(lab, spec)
    program = proc.require_tool(qemu_argv.PROGRAMS[spec.arch])
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    overlay = directory / OVERLAY_FILE
    if overlay.exists() and qcow2.backing(overlay) != boot.disk:
        lab.bus.emit(Notice(level="info", text="the image has changed; creating the machine's disk again"))
        overlay.unlink()
    if not overlay.exists():
        part = overlay.with_suffix(".part")
        argv = [
            proc.require_tool("qemu-img"),
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            str(boot.disk),
            str(part),
        ]
        proc.check(argv, deadline=Deadline.after(START_S, lab.cancel), error=ProvisioningError, fix="lab doctor")
        part.replace(overlay)
    # the image holds its original id; with a custom kernel or an imported image, the id differs
    extra = {IMAGE_ID_PLACE: (0o644, f"{boot.id}\n".encode())} if spec.kernel or spec.source else {}
    seeded = boot.initrd + initrd.seed_archive(seed, hostname=spec.name, more=extra)
    store.write_bytes(directory / INITRD_FILE, seeded, mode=0o600)
    digest = boot.kernel_digest
    wanted = acceleration.EMULATION if spec.clock == "counted" else spec.accel
    accel = acceleration.find(lab, wanted, program=program, kernel=boot.kernel, digest=digest, arch=spec.arch)
    clock = clock_of(lab, spec, accel.name)
    return replace(
        recover(seed, spec.name, directory),
        arch=spec.arch,
        clock=clock,
        cpus=1 if clock == "counted" else spec.cpus,
        memory_mib=spec.memory_mib,
        image_id=boot.id,
        accel=accel.name,
        kernel=str(boot.kernel),
        kernel_digest=boot.kernel_digest,
        kernel_release=boot.release,
        kernel_seen=tuple(store.file_stamp(Path(spec.kernel))) if spec.kernel else (),
        modules="" if boot.modules is None else str(boot.modules),
    )


def clock_of(lab: Lab, spec: MachineSpec, accel: str) -> Clock:
    """The wanted clock; `auto` counts under emulation, where time means nothing.

    A counted one means one CPU, since QEMU starts no second one with instruction counting.
    """
    if spec.clock == "real" or (spec.clock == "auto" and accel != acceleration.EMULATION):
        return "real"
    if spec.cpus != 1:
        lab.bus.emit(
            Notice(level="info", text="the machine counts instructions, so it has one CPU (--clock real: all of them)")
        )
    return "counted"


def recover(seed: Seed, name: str, directory: Path) -> QemuHandle:
    """A handle from the seed alone: enough to find, query and end it."""
    handle = _handle(seed.machine_id, name, directory)
    host_key = " ".join(seed.host_key_public.split()[:2])
    return replace(handle, identity=str(seed.user_key_private), host_key=host_key)


def _handle(machine_id: str, name: str, directory: Path) -> QemuHandle:
    return QemuHandle(
        provider="qemu",
        name=name,
        machine_id=machine_id,
        directory=str(directory),
        uuid=str(uuids.UUID(machine_id)),
        run_dir=str(qemu_process.run_dir_path(machine_id)),
    )


def lost(machines: Path) -> list[QemuHandle]:
    """Every running QEMU whose disk is in a machine's folder below `machines`."""
    return [
        _handle(uuid.replace("-", ""), disk.parent.name, disk.parent)
        for uuid, disk in qemu_process.disks(OVERLAY_FILE)
        if disk.parent.parent == machines
    ]


def start(lab: Lab, handle: QemuHandle) -> SshEndpoint:
    """Start it, or find it running; a paused machine (its host's disk was full) is resumed."""
    deadline = Deadline.after(START_S, lab.cancel)
    status = qemu_process.ask(control(handle), handle.uuid)
    if status is None:
        status = _ask_while_busy(handle)
    if status is None:
        if qemu_process.processes(handle.uuid):
            # it runs but does not answer: it is unusable, and a second one would share its disk
            qemu_process.end(control(handle), handle.uuid)
        status = spawn(handle, deadline)
    if status.status in PAUSED:
        with qemu_process.session(control(handle), handle.uuid, deadline) as qmp:
            qmp.execute("cont")
    return endpoint(handle, status.port)


def inspect(lab: Lab, handle: QemuHandle) -> Observed:
    """By QMP and the heartbeat: no login. A silent one is watched until it is known whether it hangs."""
    directory = Path(handle.directory)
    facts: dict[str, Any] = {"image_id": handle.image_id, "accel": handle.accel}
    facts |= {"kernel": handle.kernel_release, "clock": handle.clock}
    status = qemu_process.ask(control(handle), handle.uuid)
    if status is None:
        if left := qemu_process.processes(handle.uuid):
            why = "was stopped by a signal" if pulse.stopped(handle.uuid) else "does not answer"
            return Observed(phase="broken", alive=False, reason=f"QEMU (pid {left[0].pid}) {why}", **facts)
        created = (directory / OVERLAY_FILE).exists()
        phase: Phase = "stopped" if (directory / SERIAL_LOG).exists() else "created"
        panic = panic_text(_console(directory))
        reason = f"not running; it panicked: {panic}" if panic else "not running"
        return Observed(phase=phase if created else "absent", alive=False, reason=reason, **facts)
    facts["endpoint"] = endpoint(handle, status.port)
    if status.status != "running":
        why = "the host's disk is full or failing" if status.status == "io-error" else status.status
        return Observed(phase="broken", alive=False, reason=f"paused: {why}", **facts)
    if not status.kept:
        keep_again(handle, Deadline.after(KEPT_S, lab.cancel))
    beat = heartbeat.last_beat(directory / HEARTBEAT_LOG)
    late = not pulse.starting(handle) if beat is None else beat.age_s > LATE_S
    if late:
        look_s = pulse.EARLY_LOOK_S if beat is None else pulse.LOOK_S
        verdict, why = pulse.look(handle, Deadline.after(look_s, lab.cancel))
        beat = heartbeat.last_beat(directory / HEARTBEAT_LOG)
        if verdict == "hung":
            return Observed(phase="hung", alive=False, reason=why, boot_id=beat.boot_id if beat else "", **facts)
    if beat is None:
        return Observed(phase="running", alive=False, reason="no heartbeat yet", **facts)
    facts |= {"boot_id": beat.boot_id, "image_id": beat.image_id or handle.image_id, "listens": beat.ssh}
    if beat.age_s > heartbeat.FRESH_S:
        reason = f"no heartbeat for {beat.age_s:.0f} s; this host is too busy to decide whether it hangs"
        return Observed(phase="running", alive=False, reason=reason, **facts)
    return Observed(phase="running", alive=True, reason=f"up {beat.uptime_s:.0f} s", **facts)


def _ask_while_busy(handle: QemuHandle) -> qemu_process.QemuStatus | None:
    """The status of a QEMU that a signal stopped (it is continued) or that a busy host delays."""
    for process in pulse.stopped(handle.uuid):
        process.resume()
    end = Deadline.after(PATIENCE_S)
    while qemu_process.processes(handle.uuid) and not end.passed():
        if status := qemu_process.ask(control(handle), handle.uuid):
            return status
        end.sleep(0.2)
    return None


def stop(lab: Lab, handle: QemuHandle) -> None:
    """End its process. The machine is disposable: its guest is not shut down."""
    del lab
    qemu_process.end(control(handle), handle.uuid)


def delete(lab: Lab, handle: QemuHandle) -> None:
    """Remove its process, its files and its run folder; the shared image stays."""
    stop(lab, handle)
    directory = Path(handle.directory)
    if (directory / INITRD_FILE).exists():  # otherwise the logs belong to another provider, whose machine may run
        for name in (SERIAL_LOG, HEARTBEAT_LOG, QEMU_LOG, OVERLAY_FILE, INITRD_FILE):  # INITRD_FILE last: tested above
            (directory / name).unlink(missing_ok=True)
    (directory / OVERLAY_FILE).unlink(missing_ok=True)
    run_dir = Path(handle.run_dir)
    if run_dir.name == handle.machine_id[:12]:  # as `recover` names it: no other folder is removed
        shutil.rmtree(run_dir, ignore_errors=True)
    with contextlib.suppress(OSError):  # shared with other machines: removed with the last one
        run_dir.parent.rmdir()


def attach(lab: Lab, handle: QemuHandle, image: Path, serial: str) -> None:
    """Plug in `image` read-only; the guest finds it by `serial`. Idempotent."""
    if not SERIAL_NAME.fullmatch(serial):
        raise UsageError(f"{serial!r} is not a valid disk serial", fix="use at most 20 letters, digits, . _ -")
    with _qmp(lab, handle) as qmp:
        if _device(serial) in _devices(qmp):
            return
        source = {"driver": "file", "filename": str(image), "read-only": True}
        with contextlib.suppress(QmpRefused):  # left by a killed call
            qmp.execute("blockdev-del", **{"node-name": _node(serial)})
        node = {"driver": "raw", "node-name": _node(serial), "read-only": True, "file": source}
        qmp.execute("blockdev-add", **node)
        _plug(qmp, serial)


def attached(handle: QemuHandle) -> set[Path]:
    """The disks that its process has open; none when it does not run."""
    return qemu_process.open_files(handle.uuid)


def _console(directory: Path) -> str:
    return store.tail(directory / SERIAL_LOG).decode("utf-8", "replace")


def _plug(qmp: Qmp, serial: str) -> None:
    refusal = ""
    for number in range(qemu_argv.HOT_PORTS):
        # a root port has one slot: without the address QEMU puts a second disk where no guest finds it
        device = {"driver": "virtio-blk-pci", "bus": f"hot{number}", "addr": "0x0", "drive": _node(serial)}
        try:
            qmp.execute("device_add", id=_device(serial), serial=serial, **device)
        except QmpRefused as error:  # that port is in use: try the next one
            refusal = error.message
        else:
            return
    raise ProvisioningError(f"no PCIe port is free for disk {serial}", fix="lab down, then lab up", detail=refusal)


def _qmp(lab: Lab, handle: QemuHandle) -> contextlib.AbstractContextManager[Qmp]:
    return qemu_process.session(control(handle), handle.uuid, Deadline.after(START_S, lab.cancel))


def _devices(qmp: Qmp) -> set[str]:
    return {str(item["name"]) for item in qmp.execute("qom-list", path="/machine/peripheral")}


def _device(serial: str) -> str:
    return f"disk-{serial}"


def _node(serial: str) -> str:
    return f"node-{serial}"
