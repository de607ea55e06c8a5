"""Checks whether this host can be the machine: one finding for each requirement."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lab.model.machine import Finding

LOCKDOWN: Final = Path("/sys/kernel/security/lockdown")
BTF: Final = Path("/sys/kernel/btf/vmlinux")
UPROBES: Final = Path("/sys/bus/event_source/devices/uprobe/type")
KPROBES: Final = Path("/sys/bus/event_source/devices/kprobe/type")
_CHOSEN: Final = re.compile(r"\[(\w+)\]")
FIX_KERNEL: Final = "use --provider qemu, whose kernel has it"


def check() -> list[Finding]:
    """Findings for this host; only one if it is not Linux."""
    if sys.platform != "linux":
        message = f"the local provider needs Linux, this host runs {platform.system()}"
        return [Finding(name="local", verdict="fail", message=message, fix="use --provider qemu")]
    return [root(os.geteuid()), lockdown(_text(LOCKDOWN)), *kernel(Path.exists)]


def root(uid: int) -> Finding:
    if uid == 0:
        return Finding(name="local.root", verdict="ok", message="root")
    message = "measuring on this host needs root"
    return Finding(name="local.root", verdict="fail", message=message, fix="run the command as root")


def lockdown(text: str | None) -> Finding:
    """`text`: the kernel's lockdown file, None when unreadable. Lockdown only restricts what eBPF sees."""
    found = _CHOSEN.search(text or "")
    if found is None:
        message = "cannot read the kernel lockdown yet (`lab up` mounts securityfs)"
        return Finding(name="local.lockdown", verdict="ok", message=message, data={"lockdown": "unknown"})
    mode = found[1]
    if mode == "none":
        return Finding(name="local.lockdown", verdict="ok", message="no kernel lockdown", data={"lockdown": mode})
    message = f"kernel lockdown is [{mode}]: `ebpf` sees less, so lab expects fewer spans of it"
    return Finding(name="local.lockdown", verdict="warn", message=message, fix=FIX_KERNEL, data={"lockdown": mode})


def kernel(exists: Callable[[Path], bool]) -> list[Finding]:
    """The kernel features that eBPF forms need; other forms need none of them."""
    needs = (
        ("btf", BTF, "BTF (CONFIG_DEBUG_INFO_BTF)", "`ebpf` cannot attach here"),
        ("uprobes", UPROBES, "uprobes (CONFIG_UPROBE_EVENTS)", "`ebpf` cannot attach here"),
        ("kprobes", KPROBES, "kprobes (CONFIG_KPROBE_EVENTS)", "tools that trace kernel functions do not work"),
    )
    found = []
    for name, path, what, effect in needs:
        if exists(path):
            found.append(Finding(name=f"local.{name}", verdict="ok", message=f"this kernel has {what}"))
        else:
            message = f"this kernel has no {what}: {effect}"
            found.append(Finding(name=f"local.{name}", verdict="warn", message=message, fix=FIX_KERNEL))
    return found


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
