"""Vagrant: a thin Vagrantfile, one JSON file per machine, and libvirt or VirtualBox.

Vagrant creates and starts the machine. Its state is queried from the hypervisor, which is faster, and leftovers of
Vagrant are removed. An unfinished machine is created again: COMPLETE_MARKER is written last.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import psutil

from lab.machines.providers import inspect_ssh
from lab.machines.providers.snapshot_key import Kept
from lab.machines.providers.vagrant import box as vagrant_box
from lab.machines.providers.vagrant import check as vagrant_check
from lab.machines.providers.vagrant import cli as vagrant_cli
from lab.machines.providers.vagrant import files as vagrant_files
from lab.machines.providers.vagrant import libvirt, virtualbox
from lab.machines.providers.vagrant import snapshot as vagrant_snapshot
from lab.machines.providers.vagrant.files import VagrantHandle
from lab.machines.vm import acceleration, heartbeat, qemu_argv
from lab.model.errors import LabError, PreconditionError, ProvisioningError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import Features, Finding, MachineSpec, Observed, Phase, Seed, SshEndpoint
from lab.model.paths import HEARTBEAT_LOG, SERIAL_LOG
from lab.system import proc

HANDLE: Final = VagrantHandle
FEATURES: Final = Features(isolated=True, snapshots=True, starts_ready=True)
TESTED_WITH: Final = (
    "Debian 12, Vagrant 2.3.4 with vagrant-libvirt 0.11.2, emulated (no usable KVM); VirtualBox: not run"
)
WORK: Final = "vagrant"
COMPLETE_MARKER: Final = "made"
DRIVERS: Final = ("libvirt", "virtualbox")
UP_S: Final = 3600.0  # boxes are large; the later steps have Vagrant's own, shorter limits
DESTROY_S: Final = 300.0
SSH_PORT: Final = 22
PACKAGES: Final = vagrant_check.PACKAGES
install_commands: Final = vagrant_check.install_commands
save: Final = vagrant_snapshot.save
changed: Final = vagrant_snapshot.changed


def check(lab: Lab, spec: MachineSpec) -> list[Finding]:
    """Checks Vagrant, its plugin, libvirt and the box before anything is created."""
    return vagrant_check.check(lab, spec)


def create(lab: Lab, spec: MachineSpec, seed: Seed, directory: Path) -> VagrantHandle:
    """Prepare the box, and the files that Vagrant reads. Idempotent. Raises what `vagrant_box.ensure` raises."""
    work = directory / WORK
    work.mkdir(parents=True, exist_ok=True, mode=0o700)
    driver = driver_of(spec)
    box = vagrant_box.ensure(lab, spec, driver)
    accel = accel_of(lab, spec, driver, box)
    taken = [
        f"{address.address}/{address.netmask}"
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family.name == "AF_INET" and address.netmask
    ]
    vagrant_files.write(work, spec, seed, box, driver=driver, accel=accel, taken=taken)
    if driver == "libvirt":
        libvirt.make_pool(lab, vagrant_files.ident(seed.machine_id), _volumes(work, box))
    return recover(seed, spec.name, directory)


def recover(seed: Seed, name: str, directory: Path) -> VagrantHandle:
    """From the seed and the JSON that was written before anything was created."""
    stored = vagrant_files.read(directory / WORK).get("lab", {})
    return VagrantHandle(
        provider="vagrant",
        name=name,
        machine_id=seed.machine_id,
        directory=str(directory),
        image_id=str(stored.get("image_id", "")),
        accel=str(stored.get("accel", "")),
        uuid=vagrant_files.uuid_of(seed.machine_id),
        identity=str(seed.user_key_private),
        host_key=" ".join(seed.host_key_public.split()[:2]),
        driver=str(stored.get("driver", DRIVERS[0])),
    )


def start(lab: Lab, handle: VagrantHandle) -> SshEndpoint:
    """`vagrant up`, unless it runs. An unfinished machine is removed first."""
    work = _work(handle)
    vagrant_cli.end_left(work)
    state = _state(lab, handle)
    if state.state == "deaf":
        raise PreconditionError(f"{handle.driver} does not answer: {state.reason}", fix=vagrant_cli.INSTALL)
    complete = (work / COMPLETE_MARKER).exists()
    if complete and state.state == "paused":
        libvirt.resume(lab, handle.uuid)
        state = _state(lab, handle)
    if complete and state.state == "running":
        return _endpoint(handle, state)
    if complete and state.state == "hung":
        stop(lab, handle)
    # a machine removed by another program leaves its disk, and Vagrant refuses to create a second one
    if (not complete or state.state == "absent") and (work / vagrant_cli.DOT).exists():
        why = f"{handle.driver} has no such machine" if complete else "an earlier vagrant up did not finish"
        lab.bus.emit(Notice(level="info", text=f"{why}; creating the machine again"))
        _forget(lab, handle)
    return _up(lab, handle)


def _up(lab: Lab, handle: VagrantHandle) -> SshEndpoint:
    work, directory = _work(handle), Path(handle.directory)
    for name in (SERIAL_LOG, HEARTBEAT_LOG):  # logs of an earlier boot must not be read as this one's
        (directory / name).unlink(missing_ok=True)
    with lab.bus.step("vagrant", "vagrant up"):
        vagrant_cli.run(lab, work, ["up", "--provider", handle.driver], limit_s=UP_S)
    (work / COMPLETE_MARKER).touch()
    return _endpoint(handle, _state(lab, handle))


def restore(lab: Lab, handle: VagrantHandle, name: str, kept: Kept) -> SshEndpoint:
    """Restore Vagrant's snapshot. Raises PreconditionError when it does not match any more."""
    vagrant_snapshot.restore(lab, handle, name, kept)
    return _endpoint(handle, _state(lab, handle))


def inspect(lab: Lab, handle: VagrantHandle) -> Observed:
    """By the hypervisor's state and the heartbeat; without a heartbeat, by a login."""
    facts: dict[str, Any] = {"image_id": handle.image_id, "accel": handle.accel}
    work = _work(handle)
    if not (work / vagrant_cli.JSON_FILE).exists():
        return Observed(phase="absent", alive=False, reason="never created", **facts)
    state = _state(lab, handle)
    if not (work / COMPLETE_MARKER).exists():
        phase: Phase = "unknown" if state.state == "deaf" else "created"
        return Observed(phase=phase, alive=False, reason="its creation did not finish", **facts)
    phases: dict[str, Phase] = {"absent": "absent", "deaf": "unknown", "shut off": "stopped", "crashed": "stopped"}
    if state.state != "running" or not state.address:
        reason = f"{state.state} ({state.reason})" if state.reason else state.state
        return Observed(phase=phases.get(state.state, "broken"), alive=False, reason=reason, **facts)
    endpoint = _endpoint(handle, state)
    beat = heartbeat.last_beat(Path(handle.directory) / HEARTBEAT_LOG)
    if beat is None:  # not a golden image, or a log that only root may read
        return inspect_ssh.observed(lab, endpoint, **facts)
    facts |= {"endpoint": endpoint, "boot_id": beat.boot_id}
    if beat.age_s > heartbeat.FRESH_S:
        return Observed(phase="running", alive=False, reason=f"no heartbeat for {beat.age_s:.0f} s", **facts)
    return Observed(phase="running", alive=True, reason=f"up {beat.uptime_s:.0f} s", **facts)


def stop(lab: Lab, handle: VagrantHandle) -> None:
    """Power it off. The machine is disposable: its guest is not shut down. Idempotent."""
    work = _work(handle)
    if not (work / vagrant_cli.JSON_FILE).exists():
        return
    vagrant_cli.end_left(work)
    if handle.driver == "libvirt":
        libvirt.end(lab, handle.uuid)
    else:
        virtualbox.end(lab, work, handle.name)


def delete(lab: Lab, handle: VagrantHandle) -> None:
    """Remove its domain, volumes, pool, network, box and files. Idempotent, and works also where Vagrant fails."""
    work, directory = _work(handle), Path(handle.directory)
    if (work / vagrant_cli.JSON_FILE).exists():  # written before anything is created
        _forget(lab, handle)
        _remove_boxes(lab, handle)
        if handle.driver == "libvirt":
            libvirt.purge(lab, handle.uuid, vagrant_files.ident(handle.machine_id))
    if not work.exists():
        return  # the logs belong to another provider then, whose machine may run
    for name in (SERIAL_LOG, HEARTBEAT_LOG):
        (directory / name).unlink(missing_ok=True)
    shutil.rmtree(work)


def _forget(lab: Lab, handle: VagrantHandle) -> None:
    """Remove the machine from Vagrant and its hypervisor; its box and files stay for the next `vagrant up`."""
    work = _work(handle)
    vagrant_cli.end_left(work)
    (work / COMPLETE_MARKER).unlink(missing_ok=True)
    try:
        vagrant_cli.run(lab, work, ["destroy", "--force"], limit_s=DESTROY_S)
    except LabError as error:
        if handle.driver != "libvirt":
            raise
        lab.bus.emit(Notice(level="info", text=f"{error.message}; removing the machine by virsh"))
    shutil.rmtree(work / vagrant_cli.DOT, ignore_errors=True)
    if handle.driver == "libvirt":
        libvirt.forget(lab, handle.uuid, vagrant_files.ident(handle.machine_id))


def _remove_boxes(lab: Lab, handle: VagrantHandle) -> None:
    work = _work(handle)
    prefix = vagrant_files.ident(handle.machine_id)
    try:
        listed = vagrant_cli.run(lab, work, ["box", "list"], limit_s=DESTROY_S)
        names = {row.values[0] for row in listed if row.kind == "box-name" and row.values[0].startswith(prefix)}
        for name in sorted(names):
            vagrant_cli.run(lab, work, ["box", "remove", name, "--all", "--force"], limit_s=DESTROY_S)
    except LabError as error:
        lab.bus.emit(Notice(level="warning", text=f"cannot remove the box from Vagrant's home: {error.message}"))


def driver_of(spec: MachineSpec) -> str:
    """Raises PreconditionError for an unknown driver."""
    driver = spec.driver or DRIVERS[0]
    if driver not in DRIVERS:
        raise PreconditionError(f"lab does not support Vagrant's driver {driver}", fix=f"use --driver {DRIVERS[0]}")
    return driver


def accel_of(lab: Lab, spec: MachineSpec, driver: str, box: vagrant_box.Box) -> str:
    """The configured accelerator, else KVM if libvirt has it and a trial boot succeeds. VirtualBox has its own.

    A given box has no kernel for a trial boot: an earlier trial on this host decides, if there was one.
    """
    if spec.accel != "auto" or driver != "libvirt":
        return "" if spec.accel == "auto" else spec.accel
    if not libvirt.has_kvm(lab):
        return "tcg"
    program = proc.which(qemu_argv.PROGRAMS[spec.arch])
    if program is None:
        return "kvm"
    if box.kernel is not None:
        trial = {"program": str(program), "digest": box.image_id}
        return acceleration.find(lab, "auto", kernel=box.kernel, arch=spec.arch, **trial).name
    known = acceleration.remembered(lab, str(program))
    return "kvm" if known is None else known.name


def _volumes(work: Path, box: vagrant_box.Box) -> dict[str, Path]:
    return {} if box.kernel is None else {"kernel": box.kernel, "initrd": work / vagrant_files.INITRD_FILE}


def _work(handle: VagrantHandle) -> Path:
    return Path(handle.directory) / WORK


def _state(lab: Lab, handle: VagrantHandle) -> libvirt.DomainStatus:
    if handle.driver == "libvirt":
        return libvirt.ask(lab, handle.uuid)
    return virtualbox.ask(lab, _work(handle), handle.name)


def _endpoint(handle: VagrantHandle, state: libvirt.DomainStatus) -> SshEndpoint:
    host, _, port = state.address.partition(":")
    if not host:
        raise ProvisioningError("the machine has no address", fix="lab down, then lab up")
    own = handle.image_id != ""
    return SshEndpoint(
        host=host,
        port=int(port or SSH_PORT),
        user="root" if own else vagrant_files.BOX_USER,
        identity_file=Path(handle.identity),
        host_key=handle.host_key,
        become=not own,
    )
