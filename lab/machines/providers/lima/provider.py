"""Lima: virtual machines by vz (macOS) or QEMU, from our own template and a dated cloud image.

Lima's snapshots are not used: an unknown tag exits 0 and leaves the guest hung. `start` is never run on a running
instance. Downloads stay in Lima's cache; the instance is named after the machine's id.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lab.machines import first_boot
from lab.machines.images.cloud import catalog as cloud_catalog
from lab.machines.providers import inspect_ssh
from lab.machines.providers.lima import limactl
from lab.machines.providers.lima import template as lima_template
from lab.model.errors import LabError, ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH, Features, Finding, Handle, MachineSpec, Observed, Seed, SshEndpoint
from lab.model.paths import IDENTITY_FILE
from lab.system import proc, store


@dataclass(frozen=True, slots=True, kw_only=True)
class LimaHandle(Handle):
    """Lima's name of the instance, and its host key."""

    instance: str
    host_key: str


HANDLE: Final = LimaHandle
FEATURES: Final = Features(isolated=True, status_by_login=True)
TESTED_WITH: Final = "recorded output of limactl 2.2.0 only (qemu driver, Linux); vz and Macs: not run here"
OLDEST: Final = (2, 0, 0)
NEWER: Final = 3  # an untested major version
DRIVERS: Final = ("vz", "qemu")
TEMPLATE: Final = "lima.yaml"
ASK_S: Final = 60.0
START_S: Final = 1800.0  # an image may have to be fetched
SLOW_START_S: Final = 5400.0  # without acceleration
STOP_S: Final = 240.0  # Lima gives the guest three minutes
DELETE_S: Final = 120.0
PRIVATE: Final = 0o600


def check(lab: Lab, spec: MachineSpec) -> list[Finding]:
    """Lima, its driver, the image; fast, changes nothing."""
    findings = [_version(lab), *_driver(spec)]
    try:
        where = cloud_catalog.image(spec)["location"]
    except LabError as error:
        return [*findings, Finding(name="lima.image", verdict="fail", message=error.message, fix=error.fix)]
    if "://" not in where and not Path(where).is_file():
        message = f"file {where} does not exist"
        findings.append(Finding(name="lima.image", verdict="fail", message=message, fix="correct --source"))
    return findings


def create(lab: Lab, spec: MachineSpec, seed: Seed, directory: Path) -> LimaHandle:
    """Create the instance without starting it, and fetch its image into Lima's cache. Idempotent.

    Raises SecurityStop (image with another digest), TransientError (not fetched), ProvisioningError.
    """
    handle = replace(recover(seed, spec.name, directory), accel=accel(lima_template.driver(spec), spec.arch))
    path, name = directory / TEMPLATE, handle.instance
    text = lima_template.template(spec, seed)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        delete(lab, handle)  # left by an earlier `up` with other settings
    store.write_text(path, text, mode=PRIVATE)
    if limactl.instance(lab, directory, name) is None:
        _forget_half_made(name)
        limactl.run(lab, directory, ["create", f"--name={name}", str(path)], limit_s=START_S)
    return handle


def recover(seed: Seed, name: str, directory: Path) -> LimaHandle:
    """The instance's name follows from the seed; short, because Lima's socket paths are limited."""
    return LimaHandle(
        provider="lima",
        name=name,
        machine_id=seed.machine_id,
        directory=str(directory),
        instance=f"lab-{seed.machine_id[:12]}",
        host_key=" ".join(seed.host_key_public.split()[:2]),
    )


def start(lab: Lab, handle: LimaHandle) -> SshEndpoint:
    """Start it unless it runs. Fetches what a killed `create` had not fetched, and raises what that raises."""
    directory, name = _where(handle)
    found = limactl.instance(lab, directory, name)
    if found is not None and found.status == "Broken":
        limactl.run(lab, directory, ["stop", "--force", name], limit_s=ASK_S)
    if found is None or found.status != "Running":
        limit_s = SLOW_START_S if handle.accel == "tcg" else START_S
        words = ["start", f"--timeout={limit_s:.0f}s", name]
        limactl.run(lab, directory, words, limit_s=limit_s + ASK_S)
        found = limactl.instance(lab, directory, name)
    if found is None or found.port == 0:
        state = "it does not exist" if found is None else f"it is {found.status} and has no SSH port"
        raise ProvisioningError(f"Lima started {name}, but {state}", fix="lab down, then lab up")
    return _endpoint(handle, found)


def inspect(lab: Lab, handle: LimaHandle) -> Observed:
    """Lima's state, and the machine's own when it runs. Raises SecurityStop (host key)."""
    directory, name = _where(handle)
    if not (directory / TEMPLATE).exists():
        return Observed(phase="absent", alive=False, reason="never created")
    found = limactl.instance(lab, directory, name)
    if found is None:
        return Observed(phase="absent", alive=False, reason=f"Lima has no instance {name}")
    if found.status == "Running" and found.port:
        return inspect_ssh.observed(lab, _endpoint(handle, found), accel=accel(found.driver, found.arch))
    if found.status in {"Stopped", "Uninitialized"}:
        return Observed(phase="stopped", alive=False, reason="Lima stopped it")
    reason = "; ".join((f"Lima says {found.status or 'nothing'}", *found.errors))
    return Observed(phase="broken", alive=False, reason=reason)


def stop(lab: Lab, handle: LimaHandle) -> None:
    """Shut it down; Lima kills it when that takes too long. Idempotent (Lima's `stop` fails on a stopped one)."""
    directory, name = _where(handle)
    found = limactl.instance(lab, directory, name) if (directory / TEMPLATE).exists() else None
    if found is not None and found.status not in {"Stopped", "Uninitialized"}:
        force = ["--force"] if found.status != "Running" else []
        limactl.run(lab, directory, ["stop", *force, name], limit_s=STOP_S)


def delete(lab: Lab, handle: LimaHandle) -> None:
    """Delete its processes, disk, folder and template. Idempotent; without a template it was never created."""
    directory, name = _where(handle)
    if (directory / TEMPLATE).exists():
        if limactl.instance(lab, directory, name) is not None:
            limactl.run(lab, directory, ["delete", "--force", name], limit_s=DELETE_S)
        _forget_half_made(name)
    for left in (limactl.LOG, TEMPLATE):
        (directory / left).unlink(missing_ok=True)


def accel(driver: str, arch: str) -> str:
    """The acceleration that Lima uses: hvf, kvm or tcg. Decided as Lima does."""
    if arch != HOST_ARCH:
        return "tcg"
    if driver == "vz" or lima_template.PLATFORM == "darwin":
        return "hvf"
    return "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


def _version(lab: Lab) -> Finding:
    try:
        found = limactl.version(lab)
    except LabError as error:
        return Finding(name="lima", verdict="fail", message=error.message, fix=error.fix)
    if found is None:
        message, fix = "limactl does not print its version", limactl.INSTALL
        return Finding(name="lima", verdict="warn", message=message, fix=fix)
    text = ".".join(map(str, found))
    if found < OLDEST:
        return Finding(name="lima", verdict="fail", message=f"Lima {text} is too old", fix=limactl.INSTALL)
    if found[0] >= NEWER:
        message = f"Lima {text} is newer than the tested version (2.2)"
        return Finding(name="lima", verdict="warn", message=message, fix="install Lima 2.2 if it fails")
    return Finding(name="lima", verdict="ok", message=f"Lima {text}")


def _driver(spec: MachineSpec) -> list[Finding]:
    name = lima_template.driver(spec)
    if name not in DRIVERS:
        return [_bad(f"lab does not support Lima's driver {name!r}", f"--driver {' or '.join(DRIVERS)}")]
    if name == "vz":
        if lima_template.PLATFORM != "darwin":
            return [_bad("the vz driver needs macOS", "--driver qemu")]
        if spec.arch != HOST_ARCH:
            return [
                _bad(f"vz here runs {HOST_ARCH} machines, not {spec.arch}", f"--driver qemu, or --arch {HOST_ARCH}")
            ]
        if spec.image in lima_template.NOT_WITH_VZ and not spec.source:
            return [_bad(f"{spec.image} does not boot with vz", "--driver qemu, or --image debian-12")]
        return []
    tool = f"qemu-system-{spec.arch}"
    missing = proc.which(tool) is None
    return (
        [_bad(f"{tool} is not installed", "brew install qemu (Debian: apt-get install qemu-system)")] if missing else []
    )


def _bad(message: str, fix: str) -> Finding:
    return Finding(name="lima.driver", verdict="fail", message=message, fix=fix)


def _endpoint(handle: LimaHandle, found: limactl.Instance) -> SshEndpoint:
    return SshEndpoint(
        host=found.host,
        port=found.port,
        user=first_boot.USER,
        identity_file=Path(handle.directory) / IDENTITY_FILE,
        host_key=handle.host_key,
    )


def _forget_half_made(name: str) -> None:
    """Remove the folder of a limactl that was killed while creating it: Lima neither lists nor deletes it."""
    home = Path(os.environ.get("LIMA_HOME") or Path.home() / ".lima")
    if (home / name).is_dir() and not (home / name / "lima.yaml").exists():
        shutil.rmtree(home / name)


def _where(handle: LimaHandle) -> tuple[Path, str]:
    return Path(handle.directory), handle.instance
