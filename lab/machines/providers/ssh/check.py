"""Probes a borrowed machine in one short session, with one finding for each requirement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lab.guest.wire import WireError, load
from lab.model.machine import Finding, MachineSpec

WORK: Final = "/var/lib/lab"
LOCAL_CLAIM: Final = "/run/lab-local.json"  # of a `lab` on the remote machine itself
DOCUMENTS: Final = {"claim", "local"}
FREE_MIB: Final = 1024
MIN_PYTHON: Final = (3, 9)

# One round trip, only POSIX sh. Each line of output is NAME=TEXT.
PROBE: Final = f"""
uid=$(id -u); echo "uid=$uid"; root=
if [ "$uid" != 0 ]; then
  if sudo -n true 2>/dev/null; then root='sudo -n'; echo become=yes; else echo become=no; fi
fi
echo "system=$(uname -s)"; echo "arch=$(uname -m)"; echo "kernel=$(uname -r)"
echo "python=$($root python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"
[ -r /sys/kernel/btf/vmlinux ] && echo btf=yes
[ -e /sys/bus/event_source/devices/uprobe/type ] && echo uprobes=yes
[ -x /usr/bin/apt-get ] && echo apt=yes
clocks=/sys/devices/system/clocksource/clocksource0/available_clocksource
if grep -q -e TCG -e 'QEMU Virtual CPU' /proc/cpuinfo || {{
  [ "$(uname -m)" = x86_64 ] && grep -q QEMU /sys/class/dmi/id/sys_vendor && ! grep -q kvm-clock "$clocks"
}} 2>/dev/null; then echo emulated=yes; fi
echo "free_kib=$(df -Pk /var/lib 2>/dev/null | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)"
while read -r _ place _ options _; do case $place in
  /|/var|/var/lib) echo "mount=$place $options" ;; esac
done < /proc/self/mounts
echo "claim=$($root head -c 4096 {WORK}/claim.json 2>/dev/null | tr -d '\\n')"
local={LOCAL_CLAIM}; if [ -e $local ]; then echo local_there=yes; fi
if [ -f $local ]; then echo "local=$(head -c 4096 $local | tr -d '\\n')"; fi
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The output of PROBE. `claim`: the claim of an ssh machine; `local`: the claim of a `lab` on that machine itself.

    An unreadable claim is {}: it still counts.
    """

    uid: int
    become: bool
    system: str
    arch: str
    kernel: str
    python: str
    btf: bool
    uprobes: bool
    apt: bool
    emulated: bool
    free_mib: int
    options: tuple[str, ...]
    claim: dict[str, Any] | None
    local: dict[str, Any] | None

    @property
    def root(self) -> bool:
        return self.uid == 0 or self.become


def parse(text: str) -> HostFacts:
    """Facts from PROBE's lines; a missing line counts as absent."""
    values: dict[str, str] = {}
    options: tuple[str, ...] = ()
    best = ""
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if name == "mount":
            place, _, flags = value.partition(" ")
            if len(place) >= len(best):  # the last and longest mount point counts
                best, options = place, tuple(flags.split(","))
        elif equals:
            values[name] = value.strip() if name in DOCUMENTS else printable(value.strip())
    return HostFacts(
        uid=_number(values.get("uid", ""), -1),
        become=values.get("become") == "yes",
        system=values.get("system", ""),
        arch=values.get("arch", ""),
        kernel=values.get("kernel", ""),
        python=values.get("python", ""),
        btf=values.get("btf") == "yes",
        uprobes=values.get("uprobes") == "yes",
        apt=values.get("apt") == "yes",
        emulated=values.get("emulated") == "yes",
        free_mib=_number(values.get("free_kib", ""), 0) // 1024,
        options=options,
        claim=document(values.get("claim", "")),
        local=document(values.get("local", "")) or ({} if values.get("local_there") == "yes" else None),
    )


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else otherwise


def findings(facts: HostFacts, spec: MachineSpec, user: str) -> list[Finding]:
    """One finding for each requirement; those that only root can probe are left out without root."""
    if facts.system != "Linux":
        message = f"the system is {facts.system or 'unknown'}, not Linux"
        return [Finding(name="ssh.system", verdict="fail", message=message, fix="use another --address")]
    found = [_root(facts, user), _arch(facts, spec)]
    if facts.root:
        found += [_python(facts), _disk(facts)]
    found += [_btf(facts), _uprobes(facts), _holder(facts)]
    if spec.allow_host_changes and not facts.apt:
        message = "the machine has no apt-get: the playbook cannot install packages"
        found.append(Finding(name="ssh.apt", verdict="fail", message=message, fix="remove --allow-host-changes"))
    return found


def _root(facts: HostFacts, user: str) -> Finding:
    if facts.root:
        return Finding(name="ssh.root", verdict="ok", message="root" if facts.uid == 0 else f"{user} can use sudo")
    message = f"{user} cannot become root on the machine without a password (sudo -n)"
    fix = f"add `{user} ALL=(ALL) NOPASSWD: ALL` to /etc/sudoers.d there, or log in as root"
    return Finding(name="ssh.root", verdict="fail", message=message, fix=fix)


def _arch(facts: HostFacts, spec: MachineSpec) -> Finding:
    arch = {"arm64": "aarch64", "amd64": "x86_64"}.get(facts.arch, facts.arch)
    if arch == spec.arch:
        return Finding(name="ssh.arch", verdict="ok", message=f"{arch}, Linux {facts.kernel}")
    fix = f"--arch {arch}" if arch in {"x86_64", "aarch64"} else "use another --address"
    return Finding(name="ssh.arch", verdict="fail", message=f"the machine is {arch}, not {spec.arch}", fix=fix)


def _python(facts: HostFacts) -> Finding:
    parts = facts.python.split(".")
    if len(parts) == 2 and all(part.isdigit() for part in parts) and (int(parts[0]), int(parts[1])) >= MIN_PYTHON:
        return Finding(name="ssh.python", verdict="ok", message=f"Python {facts.python}")
    message = f"the machine has Python {facts.python}" if facts.python else "root finds no python3 on the machine"
    fix = "install Python 3.9 or newer there, as python3"
    return Finding(name="ssh.python", verdict="fail", message=f"{message}, 3.9 or newer is needed", fix=fix)


def _disk(facts: HostFacts) -> Finding:
    if "ro" in facts.options:
        message, fix = f"cannot write {WORK}: its file system is read-only", "run `mount -o remount,rw /` there as root"
    elif "noexec" in facts.options:
        message, fix = f"cannot run programs in {WORK}: it is mounted noexec", "run `mount -o remount,exec /var` there"
    elif facts.free_mib < FREE_MIB:
        message, fix = f"/var/lib has {facts.free_mib} MiB free, {FREE_MIB} are needed", "free some space there"
    else:
        return Finding(name="ssh.disk", verdict="ok", message=f"{facts.free_mib} MiB free")
    return Finding(name="ssh.disk", verdict="fail", message=message, fix=fix)


def _btf(facts: HostFacts) -> Finding:
    if facts.btf:
        return Finding(name="ssh.btf", verdict="ok", message="the kernel has BTF")
    message = "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF): `ebpf` cannot attach"
    return Finding(name="ssh.btf", verdict="fail", message=message, fix="boot a newer kernel of its distribution")


def _uprobes(facts: HostFacts) -> Finding:
    if facts.uprobes:
        return Finding(name="ssh.uprobes", verdict="ok", message="the kernel has uprobes")
    message = "the kernel has no uprobes (CONFIG_UPROBE_EVENTS): `ebpf` cannot attach"
    return Finding(name="ssh.uprobes", verdict="warn", message=message, fix="leave out `ebpf`, or use --provider qemu")


def _holder(facts: HostFacts) -> Finding:
    """Only a warning: `create` decides whether the claim is its own."""
    if facts.local is not None:
        message = f"a lab on the machine itself uses it ({word(facts.local, 'directory')})"
        return Finding(name="ssh.claim", verdict="warn", message=message, fix="run `lab down` on it")
    if facts.claim is None:
        return Finding(name="ssh.claim", verdict="ok", message="not claimed")
    return Finding(
        name="ssh.claim", verdict="warn", message=f"claimed by {held_by(facts.claim)}", fix="wait until it is released"
    )


def held_by(claim: dict[str, Any]) -> str:
    """The holder as text. Values from the machine are untrusted: cut and made printable."""
    by, name, home, since = (word(claim, key) for key in ("by", "name", "home", "since"))
    return f"{by} ({name} in {home}, since {since})"


def word(claim: dict[str, Any], key: str) -> str:
    """One value of a claim, made printable."""
    return printable(str(claim.get(key, "?")))


def printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:100]


def document(text: str) -> dict[str, Any] | None:
    """A JSON object, or None for anything else."""
    try:
        return load(dict[str, Any], text)
    except WireError:
        return None
