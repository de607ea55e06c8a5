"""Checks whether this host can run a QEMU machine: each finds one known failure before anything is created."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import psutil

from lab.machines.images.kernels import custom
from lab.machines.providers.qemu import process as qemu_process
from lab.machines.vm import acceleration, qemu_argv
from lab.model.errors import LabError
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH, Arch, Finding, MachineSpec
from lab.system import proc, tool_paths
from lab.system.free_space import exists_for, free_bytes

Verdict = Literal["ok", "warn", "fail"]
MIB: Final = 1024 * 1024
OVERLAY_MIB: Final = 1500  # what a demo writes to the machine's disk, with reserve
SPARE_MIB: Final = 300  # what the host needs besides the machine
PLACEHOLDER_ID: Final = "0" * 32


def check(lab: Lab, spec: MachineSpec) -> list[Finding]:
    """One finding per check; changes nothing."""
    program = proc.which(qemu_argv.PROGRAMS[spec.arch])
    asked, answers = _asked(program, spec.arch)
    findings = [asked]
    if spec.arch == HOST_ARCH:
        known = acceleration.remembered(lab, str(program)) if answers else None
        findings.append(accel(spec.accel, acceleration.candidates(), known))
    else:
        findings.append(foreign(spec.accel, spec.arch))
    if spec.clock == "counted" and spec.accel not in {"auto", acceleration.EMULATION}:
        message = f"--clock counted needs emulation (tcg), not {spec.accel}"
        findings.append(Finding(name="clock", verdict="fail", message=message, fix="remove --accel"))
    findings.append(disk(exists_for(lab.paths.home), free_bytes=free_bytes(lab.paths.home)))
    findings.append(memory(spec.memory_mib, available_bytes=psutil.virtual_memory().available))
    if spec.kernel or spec.modules:
        findings.append(custom.check(spec))
    findings.append(_guarded("socket", lambda: str(qemu_process.run_dir_path(PLACEHOLDER_ID))))
    return findings


def _asked(program: Path | None, arch: Arch) -> tuple[Finding, bool]:
    """What its QEMU is, and whether it answers: one that hangs would be waited for again."""
    try:
        text = None if program is None else acceleration.version_text(str(program))
    except LabError as error:
        return Finding(name="qemu", verdict="fail", message=error.message, fix=error.fix), False
    return qemu_version(text, arch), text is not None


def qemu_version(text: str | None, arch: Arch = HOST_ARCH) -> Finding:
    """`text`: the output of `--version`; None when the program is missing."""
    if text is None:
        message = f"{qemu_argv.PROGRAMS[arch]} is not installed"
        fix = tool_paths.fix(qemu_argv.PROGRAMS[arch])
        if fix == tool_paths.DEBIAN and arch != HOST_ARCH:
            fix += f" --arch {arch}"
        return Finding(name="qemu", verdict="fail", message=message, fix=fix)
    try:
        version = acceleration.version(text)
    except LabError as error:
        return Finding(name="qemu", verdict="fail", message=error.message, fix=error.fix)
    if version < acceleration.OLDEST:
        oldest = ".".join(map(str, acceleration.OLDEST))
        message = f"{text} is too old: QEMU {oldest} or newer is needed"
        return Finding(name="qemu", verdict="fail", message=message, fix=f"install QEMU {oldest} or newer")
    first, last = acceleration.TESTED
    if not first <= version <= last:
        text += f" (not tested: lab's tests run with {_range(first, last)})"
    return Finding(name="qemu", verdict="ok", message=text, data={"version": list(version), "tested": [*first, *last]})


def _range(first: tuple[int, int], last: tuple[int, int]) -> str:
    ends = [".".join(map(str, end)) for end in dict.fromkeys((first, last))]
    return " to ".join(ends)


def accel(wanted: str, present: tuple[str, ...], known: acceleration.Accel | None) -> Finding:
    """`known`: the result of an earlier trial boot in this boot of the host, if any. Emulation is only a warning."""
    have = ("auto", acceleration.EMULATION, *present)
    if wanted not in have:
        message, fix = f"this host does not support the acceleration {wanted}", f"use --accel {' or '.join(have)}"
        return Finding(name="acceleration", verdict="fail", message=message, fix=fix)
    if wanted != "auto":
        return Finding(name="acceleration", verdict="ok", message=f"{wanted}, as configured")
    if known is not None:
        verdict: Verdict = "warn" if known.name == acceleration.EMULATION else "ok"
        fix = "nothing to do: reports mark figures of an emulated machine" if verdict == "warn" else ""
        return Finding(name="acceleration", verdict=verdict, message=f"{known.name}: {known.reason}", fix=fix)
    if not present:
        message = "this host has no hardware acceleration: the machine is emulated (tcg) and slow"
        fix = "use a host with hardware virtualisation for comparable figures"
        return Finding(name="acceleration", verdict="warn", message=message, fix=fix)
    return Finding(name="acceleration", verdict="ok", message=f"{present[0]} exists; the first `lab up` tries it")


def foreign(wanted: str, arch: Arch) -> Finding:
    """A machine of another architecture: always emulated."""
    if wanted not in {"auto", acceleration.EMULATION}:
        message = f"{wanted} runs machines of this host's architecture ({HOST_ARCH}), not {arch}"
        return Finding(name="acceleration", verdict="fail", message=message, fix="remove --accel")
    message = f"{arch} on {HOST_ARCH}: the machine is emulated (tcg) and slow"
    fix = "nothing to do: reports mark figures of an emulated machine"
    return Finding(name="acceleration", verdict="warn", message=message, fix=fix)


def disk(place: Path, *, free_bytes: int) -> Finding:
    needed = OVERLAY_MIB * MIB
    message = f"{place}: {free_bytes:,} bytes free, {needed:,} needed for the machine's disk"
    if free_bytes < needed:
        return Finding(name="disk", verdict="fail", message=message, fix="free some space there, or use --home DIR")
    return Finding(name="disk", verdict="ok", message=message)


def memory(wanted_mib: int, *, available_bytes: int) -> Finding:
    needed_mib, available_mib = wanted_mib + SPARE_MIB, available_bytes // MIB
    message = f"{available_mib:,} MiB of memory available, {needed_mib:,} needed"
    if available_mib < needed_mib:
        fix = f"stop other programs, or set machine.memory_mib below {max(512, available_mib - SPARE_MIB)}"
        return Finding(name="memory", verdict="fail", message=message, fix=fix)
    return Finding(name="memory", verdict="ok", message=message)


def _guarded(name: str, probe: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, verdict="ok", message=f"socket path {probe()} is short enough")
    except LabError as error:
        return Finding(name=name, verdict="fail", message=error.message, fix=error.fix)
