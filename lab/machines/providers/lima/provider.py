"""Lima: a Mac's own virtual machines (vz), or QEMU's, from a template of ours and a dated cloud image.

Never Lima's snapshots: an unknown tag exits 0 and leaves the guest hung. Never a second `start` of one that runs.
What Lima downloads stays in its own cache; the instance is called after the machine's id.
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
    """The instance as Lima calls it."""

    instance: str
    host_key: str


HANDLE: Final = LimaHandle
FEATURES: Final = Features(isolated=True, status_by_login=True)
TESTED_WITH: Final = "recorded output of limactl 2.2.0 only (qemu driver, Linux); vz and Macs: not run here"
OLDEST: Final = (2, 0, 0)
NEWER: Final = 3  # a major version that nobody here has seen
DRIVERS: Final = ("vz", "qemu")
TEMPLATE: Final = "lima.yaml"
ASK_S: Final = 60.0
START_S: Final = 1800.0  # an image may have to be fetched
SLOW_START_S: Final = 5400.0  # without acceleration
STOP_S: Final = 240.0  # Lima itself gives the guest three minutes
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
        findings.append(Finding(name="lima.image", verdict="fail", message=f"no file {where}", fix="correct --source"))
    return findings


def create(lab: Lab, spec: MachineSpec, seed: Seed, directory: Path) -> LimaHandle:
    """The instance, not started, and its image, fetched into Lima's cache. Idempotent.

    Raises SecurityStop (image with another digest), TransientError (not fetched), ProvisioningError.
    """
    handle = replace(recover(seed, spec.name, directory), accel=accel(lima_template.driver(spec), spec.arch))
    path, name = directory / TEMPLATE, handle.instance
    text = lima_template.template(spec, seed)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        delete(lab, handle)  # an earlier try, with what was wrong in it
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
    """Start it unless it runs. What a killed `create` had not fetched, this fetches; it raises what that raises."""
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
        said = "it is gone" if found is None else f"it is {found.status} and has no SSH port"
        raise ProvisioningError(f"Lima started {name}, but {said}", fix="lab down, then lab up")
    return _endpoint(handle, found)


def inspect(lab: Lab, handle: LimaHandle) -> Observed:
    """Lima's word, and the machine's own when it runs. Raises SecurityStop (host key)."""
    directory, name = _where(handle)
    if not (directory / TEMPLATE).exists():
        return Observed(phase="absent", alive=False, reason="never made")
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
    """Ask it to end; Lima kills it when it does not. Idempotent (Lima's own `stop` of a stopped one fails)."""
    directory, name = _where(handle)
    found = limactl.instance(lab, directory, name) if (directory / TEMPLATE).exists() else None
    if found is not None and found.status not in {"Stopped", "Uninitialized"}:
        force = ["--force"] if found.status != "Running" else []
        limactl.run(lab, directory, ["stop", *force, name], limit_s=STOP_S)


def delete(lab: Lab, handle: LimaHandle) -> None:
    """Its processes, its disk, its folder and our template. Idempotent; without a template nothing was ever made."""
    directory, name = _where(handle)
    if (directory / TEMPLATE).exists():
        if limactl.instance(lab, directory, name) is not None:
            limactl.run(lab, directory, ["delete", "--force", name], limit_s=DELETE_S)
        _forget_half_made(name)
    for left in (limactl.LOG, TEMPLATE):
        (directory / left).unlink(missing_ok=True)


def accel(driver: str, arch: str) -> str:
    """What runs the guest's code: the CPU itself (hvf, kvm) or QEMU's translator (tcg). Asks as Lima asks."""
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
        message, fix = "limactl does not say which version it is", limactl.INSTALL
        return Finding(name="lima", verdict="warn", message=message, fix=fix)
    text = ".".join(map(str, found))
    if found < OLDEST:
        return Finding(name="lima", verdict="fail", message=f"Lima {text} is too old", fix=limactl.INSTALL)
    if found[0] >= NEWER:
        message = f"Lima {text} is newer than any that lab was tried with (2.2)"
        return Finding(name="lima", verdict="warn", message=message, fix="if it fails: install Lima 2.2")
    return Finding(name="lima", verdict="ok", message=f"Lima {text}")


def _driver(spec: MachineSpec) -> list[Finding]:
    name = lima_template.driver(spec)
    if name not in DRIVERS:
        return [_bad(f"Lima's driver {name!r} is not one that lab uses", f"--driver {' or '.join(DRIVERS)}")]
    if name == "vz":
        if lima_template.PLATFORM != "darwin":
            return [_bad("vz is Apple's and needs a Mac", "--driver qemu")]
        if spec.arch != HOST_ARCH:
            return [
                _bad(f"vz runs {HOST_ARCH} machines here, not {spec.arch}", f"--driver qemu, or --arch {HOST_ARCH}")
            ]
        if spec.image in lima_template.NOT_WITH_VZ and not spec.source:
            return [_bad(f"{spec.image} does not come up with vz", "--driver qemu, or --image debian-12")]
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
    """A limactl that was killed while it made the folder leaves one that it neither lists nor deletes."""
    home = Path(os.environ.get("LIMA_HOME") or Path.home() / ".lima")
    if (home / name).is_dir() and not (home / name / "lima.yaml").exists():
        shutil.rmtree(home / name)


def _where(handle: LimaHandle) -> tuple[Path, str]:
    return Path(handle.directory), handle.instance
