"""The checks of this room, and the commands that install what they find missing."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import Final

import psutil

from lab.machines import host_packages, state, steps
from lab.machines.images import golden, image
from lab.machines.providers import PROVIDERS
from lab.machines.providers.base import NeedsPackages, Provider
from lab.model.errors import Cancelled, LabError, SecurityStop
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH, Finding, Machine, MachineSpec
from lab.system import private, proc

# ansible-core 2.21 needs Python 3.12; on 3.11 the newest is 2.19 (docs.ansible.com, release and maintenance table)
OLDER_ANSIBLE: Final = "2.19"
OLDER_ANSIBLE_UNTIL: Final = "November 2026"


def checks(lab: Lab, spec: MachineSpec, *, deep: bool = False) -> list[Finding]:
    """Host, provider and, with `deep`, the cached image by hashing it all again. Changes nothing."""
    findings = [ansible(_ansible_version()), load(os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0)]
    try:
        provider = steps.provider_of(Machine(spec=spec))
    except LabError as error:
        return [*findings, Finding(name="provider", verdict="fail", message=error.message, fix=error.fix)]
    findings += host_packages.check_host(spec.arch) if provider.FEATURES.custom_kernel else []
    try:
        findings += _machine(lab, spec, provider)
    except (Cancelled, SecurityStop):
        raise
    except LabError as error:  # a tool of the provider that hangs or does not start: the other checks are told too
        findings.append(Finding(name=spec.provider, verdict="fail", message=error.message, fix=error.fix))
    if deep and provider.FEATURES.custom_kernel:
        findings.append(_image(lab, spec))
    return findings


def _machine(lab: Lab, spec: MachineSpec, provider: Provider) -> list[Finding]:
    stored = state.look(lab, spec.name).machine
    current = None if stored is None else steps.observed(lab, stored)
    if current is not None and current.phase == "running":
        # its memory and disk are in use already: do not require them again
        return [Finding(name="machine", verdict="ok", message=f"machine {spec.name} runs ({current.reason})")]
    return steps.unsupported(spec, provider.FEATURES) or provider.check(lab, spec)


def install_commands(lab: Lab) -> list[list[str]]:
    """argv lists that install and start what is missing, in order; empty when nothing is missing, or without apt."""
    if proc.which("apt-get") is None:
        return []
    root = private.is_root()
    provider = PROVIDERS.get(lab.config.machine.provider)
    own = provider if provider is not None and isinstance(provider, NeedsPackages) else None
    arch = lab.config.machine.spec().arch
    wanted = (*host_packages.needed(arch), *(own.PACKAGES if own else ()))
    missing = sorted({needed.package for needed in wanted if not needed.present})
    commands = apt_commands(missing, root=root) if missing else []
    if arch != HOST_ARCH and golden.may_bake() and not host_packages.runs_foreign(arch):
        commands.append([*([] if root else ["sudo"]), *host_packages.enable_argv(arch)])
    return [*commands, *(own.install_commands(lab, root=root) if own else [])]


def apt_commands(packages: list[str], *, root: bool) -> list[list[str]]:
    """Debian's and Ubuntu's way; never asks a question."""
    apt = [*([] if root else ["sudo"]), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    return [[*apt, "update"], [*apt, "install", "--yes", "--no-install-recommends", *packages]]


def ansible(version: str | None) -> Finding:
    """`version` of ansible-core, None when it is not installed (it does not exist for Windows)."""
    if version is None:
        message = "ansible-core is not installed: a remote machine runs the playbook itself (--ansible guest)"
        return Finding(name="ansible", verdict="warn", message=message, fix="reinstall lab (nothing to do on Windows)")
    if version.startswith(OLDER_ANSIBLE):
        python = ".".join(map(str, sys.version_info[:2]))
        message = f"ansible-core {version}, the newest for Python {python}; maintained until {OLDER_ANSIBLE_UNTIL}"
        return Finding(name="ansible", verdict="warn", message=message, fix="install Python 3.12 or newer")
    return Finding(name="ansible", verdict="ok", message=f"ansible-core {version}")


def load(load1: float) -> Finding:
    """A warning on a busy host, where figures vary more and emulated machines are slow."""
    cores = psutil.cpu_count() or 1
    message = f"load {load1:.1f} on {cores} cores"
    if load1 > cores:
        return Finding(name="load", verdict="warn", message=message, fix="stop other programs before measuring")
    return Finding(name="load", verdict="ok", message=message)


def _image(lab: Lab, spec: MachineSpec) -> Finding:
    try:
        found = image.at(lab, golden.wanted(lab, spec), deep=True)
    except LabError as error:
        return Finding(name="image", verdict="fail", message=error.message, fix=error.fix)
    if found is None:
        return Finding(name="image", verdict="ok", message="not built yet; lab up builds it")
    return Finding(name="image", verdict="ok", message=f"{found.id}: all files match their digests")


def _ansible_version() -> str | None:
    try:
        return metadata.version("ansible-core")
    except metadata.PackageNotFoundError:
        return None
