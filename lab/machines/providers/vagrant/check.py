"""Checks what this host needs for a Vagrant machine, and names the Debian packages for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from lab.machines.host_packages import HostPackage
from lab.machines.providers.vagrant import box as vagrant_box
from lab.machines.providers.vagrant import cli as vagrant_cli
from lab.machines.providers.vagrant import libvirt
from lab.model.errors import LabError
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH, Finding, MachineSpec
from lab.system import proc, store
from lab.system.environment import shielded
from lab.system.free_space import exists_for, free_bytes
from lab.system.wait import Deadline

OLDEST: Final = (2, 2, 19)
PLUGIN: Final = "vagrant-libvirt"
DRIVERS: Final = ("libvirt", "virtualbox")
ACCELS: Final = ("auto", "kvm", "tcg")
NEEDED_GIB: Final = 4  # two copies of the box (Vagrant's and libvirt's) and a demo's files
SEEN_FILE: Final = "vagrant.json"
PLUGINS_S: Final = 60.0
SYSTEMD: Final = Path("/run/systemd/system")
DAEMONS: Final = [["virtlogd", "--daemon"], ["libvirtd", "--daemon"]]  # on hosts without systemd
# libvirt by the names of its daemons, which are stable; its package split is not
PACKAGES: Final = (
    HostPackage(package="vagrant", command="vagrant", why="creates the machine"),
    HostPackage(package="vagrant-libvirt", command="vagrant", why="connects Vagrant to libvirt"),
    HostPackage(package="libvirt-daemon-system", command="libvirtd", why="runs the machine for Vagrant"),
    HostPackage(package="libvirt-clients", command="virsh", why="queries the machine's state"),
    HostPackage(package="dnsmasq-base", command="dnsmasq", why="assigns the machine's address"),
    HostPackage(package="iptables", command="iptables", why="isolates the machine's network"),
)


def check(lab: Lab, spec: MachineSpec) -> list[Finding]:
    """Changes nothing but the cache of a plugin's version."""
    driver = spec.driver or DRIVERS[0]
    wrong = _spec(spec, driver)
    if wrong is not None:
        return [wrong]
    found: list[Finding | None] = [_vagrant(lab)]
    if driver == "libvirt":
        installed = proc.which("vagrant") is not None
        found += [_plugin(lab) if installed else None, _libvirt(lab), _space()]
        found += [_tool("qemu-img", "qemu-utils")] if not spec.source else []
    else:
        found.append(_tool("VBoxManage", "VirtualBox"))
    return [one for one in found if one is not None]


def install_commands(lab: Lab, *, root: bool) -> list[list[str]]:
    """argv lists for what packages do not do: install the plugin of a Vagrant not from Debian, and start libvirt."""
    commands = []
    if proc.which("vagrant") is not None and _plugin(lab).verdict == "fail":
        commands.append(["vagrant", "plugin", "install", PLUGIN])
    if proc.which("virsh") is None or libvirt.reachable(lab):
        started = [["systemctl", "enable", "--now", "libvirtd"]] if SYSTEMD.is_dir() else DAEMONS
        commands += [[*([] if root else ["sudo"]), *argv] for argv in started]
    return commands


def _spec(spec: MachineSpec, driver: str) -> Finding | None:
    if driver not in DRIVERS:
        return _fail("driver", f"lab does not support driver {driver}", f"use --driver {' or '.join(DRIVERS)}")
    if spec.arch != HOST_ARCH:
        message = f"Vagrant supports only this host's architecture ({HOST_ARCH}), not {spec.arch}"
        return _fail("arch", message, "use --provider qemu")
    if spec.accel not in ACCELS:
        return _fail("accel", f"libvirt has no accelerator {spec.accel}", f"use --accel {' or '.join(ACCELS)}")
    try:
        if spec.source:
            vagrant_box.need_digest(spec)
        elif driver != "libvirt":
            return _fail("box", f"{driver} cannot start the golden image", "set --source URL and --digest sha256:HEX")
    except LabError as error:
        return _fail("box", error.message, error.fix)
    return None


def _vagrant(lab: Lab) -> Finding:
    try:
        version = vagrant_cli.version(lab)
    except LabError as error:
        return _fail("vagrant", error.message, error.fix)
    if version is None:
        message = "cannot read the output of `vagrant --version`"
        return Finding(name="vagrant", verdict="warn", message=message, fix="run vagrant --version")
    text = ".".join(map(str, version))
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return _fail("vagrant", f"Vagrant {text} is too old: {oldest} or newer is needed", "install a newer Vagrant")
    return Finding(name="vagrant", verdict="ok", message=f"Vagrant {text}")


def _plugin(lab: Lab) -> Finding:
    """Vagrant needs a second to list plugins, so the version is cached for this Vagrant."""
    cached = lab.paths.cache / SEEN_FILE
    key = _key()
    try:
        known = json.loads(cached.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = None
    if isinstance(known, dict) and known.get("key") == key and known.get(PLUGIN):
        return Finding(name="vagrant-libvirt", verdict="ok", message=f"{PLUGIN} {known[PLUGIN]}")
    argv = [proc.require_tool("vagrant"), "plugin", "list", "--machine-readable"]
    env = {**shielded(), "VAGRANT_CHECKPOINT_DISABLE": "1"}
    result = proc.run(argv, deadline=Deadline.after(PLUGINS_S, lab.cancel), env=env)
    version = vagrant_cli.plugins(result.text()).get(PLUGIN)
    if version is None:
        return _fail("vagrant-libvirt", f"the Vagrant plugin {PLUGIN} is not installed", vagrant_cli.INSTALL)
    lab.paths.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    store.write_json(cached, {"key": key, PLUGIN: version})
    return Finding(name="vagrant-libvirt", verdict="ok", message=f"{PLUGIN} {version}")


def _key() -> str:
    """Changes when Vagrant or the user's plugins do."""
    home = Path(os.environ.get("VAGRANT_HOME") or "~/.vagrant.d").expanduser()
    places = (Path(proc.require_tool("vagrant")).resolve(), home / "plugins.json")
    return " ".join(f"{place}:{place.stat().st_mtime_ns if place.exists() else 0}" for place in places)


def _libvirt(lab: Lab) -> Finding:
    failure = libvirt.reachable(lab)
    if not failure:
        return Finding(name="libvirt", verdict="ok", message=f"libvirt answers at {libvirt.URI}")
    return _fail("libvirt", f"libvirt does not answer at {libvirt.URI}: {failure}", vagrant_cli.INSTALL)


def _space() -> Finding:
    place = exists_for(Path(libvirt.POOLS))
    free_gib = free_bytes(place) / (1 << 30)
    if free_gib < NEEDED_GIB:
        message = f"{place} has {free_gib:.1f} GiB free, {NEEDED_GIB} are needed"
        return _fail("disk", message, f"free some space in {place}")
    return Finding(name="disk", verdict="ok", message=f"{free_gib:.0f} GiB free in {place}")


def _tool(name: str, package: str) -> Finding | None:
    if proc.which(name) is not None:
        return None
    return _fail(name, f"{name} is not installed", f"install {package}")


def _fail(name: str, message: str, fix: str) -> Finding:
    return Finding(name=f"vagrant.{name}" if name != "vagrant" else name, verdict="fail", message=message, fix=fix)
