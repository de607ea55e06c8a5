"""What this host lacks for a Vagrant machine, and the Debian packages that give it."""

from __future__ import annotations

import json
import os
import shutil
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
from lab.system.wait import Deadline

OLDEST: Final = (2, 2, 19)
PLUGIN: Final = "vagrant-libvirt"
DRIVERS: Final = ("libvirt", "virtualbox")
ACCELS: Final = ("auto", "kvm", "tcg")
NEEDED_GIB: Final = 4  # the box twice (Vagrant's copy and libvirt's) and what a demo writes
SEEN_FILE: Final = "vagrant.json"
PLUGINS_S: Final = 60.0
SYSTEMD: Final = Path("/run/systemd/system")
DAEMONS: Final = [["virtlogd", "--daemon"], ["libvirtd", "--daemon"]]  # where no systemd starts them
# libvirt by its daemons' names: its packages differ in how finely they are cut, these commands do not
PACKAGES: Final = (
    HostPackage(package="vagrant", command="vagrant", why="makes the machine"),
    HostPackage(package="vagrant-libvirt", command="vagrant", why="lets Vagrant use libvirt"),
    HostPackage(package="libvirt-daemon-system", command="libvirtd", why="runs the machine for Vagrant"),
    HostPackage(package="libvirt-clients", command="virsh", why="asks whether the machine lives"),
    HostPackage(package="dnsmasq-base", command="dnsmasq", why="gives the machine its address"),
    HostPackage(package="iptables", command="iptables", why="libvirt keeps the machine's network apart with it"),
)


def check(lab: Lab, spec: MachineSpec) -> list[Finding]:
    """Changes nothing but the memory of a plugin that was found."""
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
    """argv lists for what packages do not do: the plugin of a Vagrant that is not Debian's, and libvirt started."""
    commands = []
    if proc.which("vagrant") is not None and _plugin(lab).verdict == "fail":
        commands.append(["vagrant", "plugin", "install", PLUGIN])
    if proc.which("virsh") is None or libvirt.reachable(lab):
        started = [["systemctl", "enable", "--now", "libvirtd"]] if SYSTEMD.is_dir() else DAEMONS
        commands += [[*([] if root else ["sudo"]), *argv] for argv in started]
    return commands


def _spec(spec: MachineSpec, driver: str) -> Finding | None:
    if driver not in DRIVERS:
        return _fail("driver", f"Vagrant has no driver {driver} here", f"--driver {' or '.join(DRIVERS)}")
    if spec.arch != HOST_ARCH:
        message = f"Vagrant makes machines of this host's kind ({HOST_ARCH}), not {spec.arch}"
        return _fail("arch", message, "--provider qemu")
    if spec.accel not in ACCELS:
        return _fail("accel", f"libvirt has no accelerator {spec.accel}", f"--accel {', '.join(ACCELS)}")
    try:
        if spec.source:
            vagrant_box.need_digest(spec)
        elif driver != "libvirt":
            return _fail("box", f"our own image does not start under {driver}", "--source URL --digest sha256:HEX")
    except LabError as error:
        return _fail("box", error.message, error.fix)
    return None


def _vagrant(lab: Lab) -> Finding:
    try:
        version = vagrant_cli.version(lab)
    except LabError as error:
        return _fail("vagrant", error.message, error.fix)
    if version is None:
        message = "vagrant --version says something that lab does not know"
        return Finding(name="vagrant", verdict="warn", message=message, fix="vagrant --version")
    told = ".".join(map(str, version))
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return _fail("vagrant", f"Vagrant {told} is too old: {oldest} or newer is needed", "install a newer Vagrant")
    return Finding(name="vagrant", verdict="ok", message=f"Vagrant {told}")


def _plugin(lab: Lab) -> Finding:
    """Vagrant takes a second to say it, so that a plugin that was seen is remembered for this very Vagrant."""
    seen = lab.paths.cache / SEEN_FILE
    key = _key()
    try:
        known = json.loads(seen.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = None
    if isinstance(known, dict) and known.get("key") == key and known.get(PLUGIN):
        return Finding(name="vagrant-libvirt", verdict="ok", message=f"{PLUGIN} {known[PLUGIN]}")
    argv = [proc.require_tool("vagrant"), "plugin", "list", "--machine-readable"]
    env = {**shielded(), "VAGRANT_CHECKPOINT_DISABLE": "1"}
    result = proc.run(argv, deadline=Deadline.after(PLUGINS_S, lab.cancel), env=env)
    version = vagrant_cli.plugins(result.text()).get(PLUGIN)
    if version is None:
        return _fail("vagrant-libvirt", f"Vagrant has no plugin {PLUGIN}", vagrant_cli.INSTALL)
    lab.paths.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    store.write_json(seen, {"key": key, PLUGIN: version})
    return Finding(name="vagrant-libvirt", verdict="ok", message=f"{PLUGIN} {version}")


def _key() -> str:
    """Changes when Vagrant or the user's plugins do."""
    home = Path(os.environ.get("VAGRANT_HOME") or "~/.vagrant.d").expanduser()
    places = (Path(proc.require_tool("vagrant")).resolve(), home / "plugins.json")
    return " ".join(f"{place}:{place.stat().st_mtime_ns if place.exists() else 0}" for place in places)


def _libvirt(lab: Lab) -> Finding:
    said = libvirt.reachable(lab)
    if not said:
        return Finding(name="libvirt", verdict="ok", message=f"libvirt answers at {libvirt.URI}")
    return _fail("libvirt", f"libvirt does not answer at {libvirt.URI}: {said}", vagrant_cli.INSTALL)


def _space() -> Finding:
    place = next(path for path in (Path(libvirt.POOLS), *Path(libvirt.POOLS).parents) if path.exists())
    free_gib = shutil.disk_usage(place).free / (1 << 30)
    if free_gib < NEEDED_GIB:
        message = f"{place} has {free_gib:.1f} GiB free; {NEEDED_GIB} are needed"
        return _fail("disk", message, f"free some space in {place}")
    return Finding(name="disk", verdict="ok", message=f"{free_gib:.0f} GiB free in {place}")


def _tool(name: str, package: str) -> Finding | None:
    if proc.which(name) is not None:
        return None
    return _fail(name, f"{name} is not installed", f"install {package}")


def _fail(name: str, message: str, fix: str) -> Finding:
    return Finding(name=f"vagrant.{name}" if name != "vagrant" else name, verdict="fail", message=message, fix=fix)
