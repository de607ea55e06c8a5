"""Starts the QEMU process of a machine: its command line, a free port, its first answer."""

from __future__ import annotations

import os
import socket as sockets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from lab.guest.wire import Range
from lab.machines.providers.qemu import process as qemu_process
from lab.machines.vm import heartbeat, keeper, qemu_argv
from lab.model.errors import PreconditionError, ProvisioningError
from lab.model.machine import HOST_ARCH, Arch, Handle, SshEndpoint
from lab.model.paths import HEARTBEAT_LOG, OVERLAY_FILE, QMP_SOCKET, SERIAL_LOG
from lab.system import proc, store
from lab.system.wait import Deadline, NotYet, until

INITRD_FILE: Final = "initrd.cpio"
QEMU_LOG: Final = "qemu.log"
USER: Final = "root"
PORT_TRIES: Final = 20
KEPT_POLL_S: Final = 0.1
LAST_S: Final = 5.0
LAST_BYTES: Final = 2000
PORT_TAKEN: Final = "Could not set up host forwarding rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuHandle(Handle):
    """The fields from `arch` on are set by `create` and needed by a start."""

    uuid: str
    run_dir: str
    identity: str = ""
    host_key: str = ""
    arch: Arch = HOST_ARCH
    cpus: Annotated[int, Range(1, 4096)] = 1
    memory_mib: Annotated[int, Range(1, 1 << 30)] = 1
    kernel: str = ""
    kernel_digest: str = ""
    modules: str = ""

    @property
    def made(self) -> bool:
        return "" not in (self.kernel, self.identity, self.host_key)


def control(handle: QemuHandle) -> Path:
    return Path(handle.run_dir) / QMP_SOCKET


def endpoint(handle: QemuHandle, port: int) -> SshEndpoint:
    identity, host_key = Path(handle.identity), handle.host_key
    return SshEndpoint(host="127.0.0.1", port=port, user=USER, identity_file=identity, host_key=host_key)


def spawn(handle: QemuHandle, deadline: Deadline, *, extra: Sequence[str] = ()) -> qemu_process.QemuStatus:
    """Start the process; it is tried again when another program takes the port before QEMU does.

    `extra` follows the command line: disks of a snapshot, and its name.
    """
    qemu_process.make_run_dir(Path(handle.run_dir))  # a restart of the host has removed it
    log = Path(handle.directory) / QEMU_LOG
    for _ in range(PORT_TRIES):
        status = _try(handle, [*argv(handle, _free_port()), *extra], log, deadline)
        if status is not None:
            return status
    raise PreconditionError("QEMU cannot bind any free port", fix="run the command again", log=str(log))


def _try(handle: QemuHandle, command: list[str], log: Path, deadline: Deadline) -> qemu_process.QemuStatus | None:
    log.unlink(missing_ok=True)
    # logs of an earlier boot must not be read as this one's
    for name in (SERIAL_LOG, HEARTBEAT_LOG):
        (log.parent / name).unlink(missing_ok=True)
    for socket in (control(handle), *_sockets(handle).values()):
        socket.unlink(missing_ok=True)
    printed, output = os.pipe()
    try:
        pid = proc.spawn_detached(command, log=log, output=output)
        keeps = keep(handle, printed)
    finally:
        os.close(printed)
        os.close(output)

    def probe() -> qemu_process.QemuStatus | bool | NotYet:
        if status := qemu_process.ask(control(handle), handle.uuid):
            return status
        if not qemu_process.running(keeps):  # QEMU waits for it
            qemu_process.end(control(handle), handle.uuid)
        return NotYet(reason="QEMU does not answer yet") if qemu_process.running(pid) else False

    found = until(probe, what="QEMU to start", deadline=deadline, hint="lab doctor", poll_s=0.02)
    if isinstance(found, qemu_process.QemuStatus):
        return found
    last = Deadline.after(LAST_S)
    while qemu_process.running(keeps) and not last.passed():  # it exits after QEMU, when the logs are written
        last.sleep(KEPT_POLL_S)
    tail = store.tail(log, LAST_BYTES).decode("utf-8", "replace")
    if PORT_TAKEN in tail:
        return None
    raise ProvisioningError("QEMU exited right after its start", fix="lab doctor", detail=tail.strip(), log=str(log))


def argv(handle: QemuHandle, port: int) -> list[str]:
    """QEMU's command line for this machine, its SSH forward on `port`."""
    directory = Path(handle.directory)
    boot = qemu_argv.Boot(
        name=handle.name,
        uuid=handle.uuid,
        arch=handle.arch,
        accel=handle.accel,
        cpus=handle.cpus,
        memory_mib=handle.memory_mib,
        counted=handle.clock == "counted",
        kernel=Path(handle.kernel),
        initrd=directory / INITRD_FILE,
        overlay=directory / OVERLAY_FILE,
        modules=Path(handle.modules) if handle.modules else None,
        ssh_port=port,
        qmp=control(handle),
        serial=_sockets(handle)["serial"],
        heartbeat=_sockets(handle)["heartbeat"],
    )
    return qemu_argv.boot_argv(boot, program=proc.require_tool(qemu_argv.PROGRAMS[boot.arch]))


def keep(handle: QemuHandle, printed: int | None = None) -> int:
    """Start the keeper of this machine's console, heartbeat and the output in `printed`; returns its pid."""
    directory, run_dir = Path(handle.directory), Path(handle.run_dir)
    log = directory / QEMU_LOG
    words = keeper.argv(handle.uuid, run_dir, directory / SERIAL_LOG, directory / HEARTBEAT_LOG, log)
    return proc.spawn_detached(words, log=log, cwd=run_dir, stdin=printed)


def keep_again(handle: QemuHandle, deadline: Deadline) -> None:
    """Start the keeper again after it was killed, and wait for the next heartbeat."""
    log = Path(handle.directory) / HEARTBEAT_LOG
    before = heartbeat.last_beat(log)
    keep(handle)
    while not deadline.passed():
        now = heartbeat.last_beat(log)
        if now is not None and (before is None or now.uptime_s != before.uptime_s):
            return
        deadline.sleep(KEPT_POLL_S)


def _sockets(handle: QemuHandle) -> dict[str, Path]:
    return {what: Path(handle.run_dir) / name for what, name in keeper.SOCKETS.items()}


def _free_port() -> int:
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
