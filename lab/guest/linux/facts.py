"""The facts of this machine: one flat document, each read from the kernel, "unknown" where it has none."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from lab.guest.linux.procfs import boot_id, parse_lockdown, parse_mounts, read

BTF = "/sys/kernel/btf/vmlinux"


def systemd_runs() -> bool:
    """Whether systemd is this machine's init, so that it can run units."""
    return read("/proc/1/comm", "").strip() == "systemd" and Path("/run/systemd/system").is_dir()


def facts() -> dict[str, Any]:
    """One JSON document for the host fingerprint, the conditions of forms, and doctor."""
    cpuinfo = read("/proc/cpuinfo", "")
    return {
        "kernel": platform.release(),
        "arch": platform.machine(),
        "os": _os_release(read("/etc/os-release", "")),
        "cpu_model": _cpu_model(cpuinfo),
        "cpus": os.cpu_count() or 1,
        "memory_mib": _memory_mib(read("/proc/meminfo", "")),
        "btf": os.path.exists(BTF),
        "lockdown": lockdown(),
        "uprobes": os.path.exists("/sys/bus/event_source/devices/uprobe"),
        "kprobes": os.path.exists("/sys/bus/event_source/devices/kprobe"),
        "tracepoints": os.path.exists("/sys/bus/event_source/devices/tracepoint"),
        "bpf_jit": read("/proc/sys/net/core/bpf_jit_enable", "unknown").strip(),
        "clocksource": read("/sys/devices/system/clocksource/clocksource0/current_clocksource", "unknown").strip(),
        "virtualisation": _virtualisation(cpuinfo),
        "board": _board(),
        "emulated": _emulated(cpuinfo),
        "systemd": systemd_runs(),
        "python": platform.python_version(),
        "cgroup": _cgroup(),
        "boot_id": boot_id(),
        "uid": os.getuid(),
        "capabilities": _status_field(read("/proc/self/status", ""), "CapEff"),
        "mounted": sorted({row[2] for row in parse_mounts(read("/proc/self/mounts", ""))} & _WATCHED),
    }


_WATCHED = frozenset(("bpf", "securityfs", "tracefs", "debugfs"))


def lockdown() -> str:
    """none | integrity | confidentiality; "unknown" where securityfs is not mounted. A kernel without it has "none"."""
    if not any(row[2] == "securityfs" for row in parse_mounts(read("/proc/self/mounts", ""))):
        return "unknown"
    text = read("/sys/kernel/security/lockdown", "")
    return parse_lockdown(text) if text else "none"


def _os_release(text: str) -> str:
    for line in text.splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip('"')
    return "unknown"


def _cpu_model(cpuinfo: str) -> str:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "CPU part"):
            return value.strip()
    return "unknown"


def _memory_mib(meminfo: str) -> int:
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return 0


def _virtualisation(cpuinfo: str) -> str:
    """The vendor from DMI or the hypervisor; "none" only on what looks like bare metal."""
    for path in ("/sys/class/dmi/id/sys_vendor", "/sys/firmware/devicetree/base/compatible", "/sys/hypervisor/type"):
        text = read(path, "").replace("\0", " ").strip()
        if text:
            return text if _hypervisor(cpuinfo) or "qemu" in text.lower() else "none (%s)" % text
    return "unknown hypervisor" if _hypervisor(cpuinfo) else "none"


def _board() -> str:
    """What it says that it is, by DMI; a QEMU names its version in it ("pc-q35-7.2")."""
    names = (read("/sys/class/dmi/id/%s" % name, "").strip() for name in ("product_name", "product_version"))
    return " ".join(filter(None, names))


def _hypervisor(cpuinfo: str) -> bool:
    return any(line.startswith("flags") and " hypervisor" in line for line in cpuinfo.splitlines())


def _emulated(cpuinfo: str) -> bool:
    """A hint at emulation: the CPU's name is that of QEMU's software CPU, or QEMU without kvm-clock."""
    if "TCG" in cpuinfo or "QEMU Virtual CPU" in cpuinfo:
        return True
    clocks = read("/sys/devices/system/clocksource/clocksource0/available_clocksource", "")
    vendor = read("/sys/class/dmi/id/sys_vendor", "")
    return platform.machine() == "x86_64" and "QEMU" in vendor and "kvm-clock" not in clocks


def _cgroup() -> str:
    kinds = {row[2] for row in parse_mounts(read("/proc/self/mounts", ""))}
    if "cgroup" in kinds and "cgroup2" in kinds:
        return "hybrid"
    return "v2" if "cgroup2" in kinds else "v1" if "cgroup" in kinds else "none"


def _status_field(text: str, name: str) -> str:
    for line in text.splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].strip()
    return "unknown"
