"""Finds the acceleration that works on this host by booting a tiny system, since a device node proves nothing.

Seen in the field: /dev/kvm opens and reports its version, and yet no Linux guest gets past early boot.
"""

from __future__ import annotations

import json
import re
import struct
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from lab.machines.vm.initrd import Entry, archive
from lab.machines.vm.kernel_args import CONSOLES
from lab.machines.vm.qemu_argv import base_argv
from lab.model.errors import LabError, PreconditionError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.model.machine import HOST_ARCH, Arch
from lab.system import proc, store
from lab.system.wait import Deadline

TRIAL_S: Final = 8.0
SLOWER: Final = 8.0  # an emulated machine on a busy host, against a native one (seen: up to 10 for one operation)
EMULATION: Final = "tcg"
MARK: Final = b"LAB-TRIAL-OK\n"
CACHE_FILE: Final = "accel.json"
OLDEST: Final = (6, 2)
TESTED: Final = ((7, 2), (7, 2))  # oldest and newest that the tests ran with
POWER_OFF: Final = (0xFEE1DEAD, 672274793, 0x4321FEDC)  # the arguments of reboot(2)
CANDIDATES: Final = {"linux": ("kvm",), "darwin": ("hvf",), "win32": ("whpx",)}
_VERSION: Final = re.compile(r"version (\d+)\.(\d+)")


def scaled_s(seconds: float, accel: str) -> float:
    """A time limit, scaled for an emulated machine."""
    return seconds * SLOWER if accel == EMULATION else seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Accel:
    """The acceleration to use, and the reason as text."""

    name: str
    reason: str


def choose(wanted: str, candidates: tuple[str, ...], works: Callable[[str], bool]) -> Accel:
    """The wanted acceleration, else the first candidate whose trial boot succeeds, else emulation."""
    if wanted != "auto":
        return Accel(name=wanted, reason="as configured")
    for name in candidates:
        if works(name):
            return Accel(name=name, reason=f"a trial boot with {name} succeeded")
    tried = " and ".join(candidates)
    reason = f"{tried} exists, but a trial boot with it failed" if tried else "this host has no hardware acceleration"
    return Accel(name=EMULATION, reason=reason)


def find(lab: Lab, wanted: str, *, program: str, kernel: Path, digest: str = "", arch: Arch = HOST_ARCH) -> Accel:
    """The acceleration for this host; trial boots happen once per QEMU version, kernel and boot of the host."""
    if wanted != "auto":
        return choose(wanted, (), lambda _: False)
    if arch != HOST_ARCH:  # hardware acceleration works for the host's architecture only
        return Accel(name=EMULATION, reason=f"this host is not {arch}")
    if (known := remembered(lab, program, digest)) is not None:
        return known
    present = candidates()
    found = choose(wanted, present, lambda name: trial(lab, name, program=program, kernel=kernel, arch=arch))
    if present and found.name == EMULATION:
        lab.bus.emit(Notice(level="warning", text=f"{found.reason}: the machine is emulated and slow"))
    earlier = _file(lab) if _file(lab).get("key") == _key(program) else {}
    kernels = {**earlier.get("kernels", {}), digest: {"name": found.name, "reason": found.reason}}
    store.write_json(lab.paths.cache / CACHE_FILE, {"key": _key(program), "kernels": kernels})
    return found


def remembered(lab: Lab, program: str, digest: str | None = None) -> Accel | None:
    """What an earlier `find` chose for the kernel `digest` (None: for the last one that was tried), while it is
    valid for this QEMU and this boot of the host."""
    doc = _file(lab)
    kernels = doc.get("kernels", {}) if doc.get("key") == _key(program) else {}
    known = kernels.get(next(reversed(kernels), None) if digest is None else digest)
    return None if known is None else Accel(name=str(known["name"]), reason=str(known["reason"]))


def _file(lab: Lab) -> dict[str, Any]:
    try:
        doc = json.loads((lab.paths.cache / CACHE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return doc if isinstance(doc, dict) else {}


def _key(program: str) -> str:
    return f"{version_text(program)}; host booted {int(psutil.boot_time())}"


def candidates() -> tuple[str, ...]:
    """Accelerators that may work on this host."""
    if sys.platform == "linux" and not Path("/dev/kvm").exists():
        return ()
    return CANDIDATES.get(sys.platform, ())


def trial(
    lab: Lab,
    accel: str,
    *,
    program: str,
    kernel: Path,
    arch: Arch = HOST_ARCH,
    cpus: int = 1,
    memory_mib: int = 256,
) -> bool:
    """Whether a kernel and one user process run to their end under `accel`, within TRIAL_S."""
    with tempfile.TemporaryDirectory(prefix="lab-trial-") as folder, lab.bus.step("trial", f"try {accel}") as shown:
        initrd, serial = Path(folder) / "initrd", Path(folder) / "serial"
        initrd.write_bytes(archive([Entry(path="init", mode=0o755, data=TINY[arch]())]))
        argv = [*base_argv(program, accel, arch), "-smp", str(cpus), "-m", f"{memory_mib}M"]
        argv += ["-kernel", str(kernel), "-initrd", str(initrd), "-append", f"{CONSOLES[arch]} quiet panic=-1"]
        argv += ["-chardev", f"file,id=s,path={serial}", "-serial", "chardev:s"]
        try:
            proc.run(proc.die_with_parent(argv), deadline=Deadline.after(TRIAL_S, lab.cancel))
        except LabError as error:
            if error.exit_code == 130:
                raise
            shown.say(f"no: {error.message}")
        worked = serial.exists() and MARK.strip() in serial.read_bytes()
        shown.say(f"{accel} works" if worked else f"{accel} does not work")
        return worked


def tiny_x86_64() -> bytes:
    """A static program of some 200 bytes: writes MARK to standard output, then powers the machine off."""
    code = bytearray()
    code += b"\xb8\x01\x00\x00\x00\xbf\x01\x00\x00\x00"  # mov eax, SYS_write; mov edi, stdout
    lea = len(code)
    code += b"\x48\x8d\x35\x00\x00\x00\x00"  # lea rsi, [rip + text]
    code += b"\xba" + struct.pack("<I", len(MARK)) + b"\x0f\x05"  # mov edx, length; syscall
    for register, number in ((b"\xb8", 169), (b"\xbf", POWER_OFF[0]), (b"\xbe", POWER_OFF[1]), (b"\xba", POWER_OFF[2])):
        code += register + struct.pack("<I", number)  # reboot(MAGIC1, MAGIC2, POWER_OFF)
    code += b"\x0f\x05\x31\xff\xb8\x3c\x00\x00\x00\x0f\x05"  # syscall; then exit(0), which panics: over either way
    code[lea + 3 : lea + 7] = struct.pack("<i", len(code) - (lea + 7))
    return _elf(bytes(code) + MARK, machine=62)


def tiny_aarch64() -> bytes:
    """The same for 64-bit Arm."""
    words: list[int] = []

    def move(register: int, value: int) -> None:  # movz, then movk for the upper half
        words.append(0xD2800000 | (value & 0xFFFF) << 5 | register)
        words.append(0xF2A00000 | (value >> 16) << 5 | register)

    call = 0xD4000001  # svc #0
    move(0, 1)
    adr = len(words)
    words.append(0)  # adr x1, text: its distance is known at the end
    move(2, len(MARK))
    move(8, 64)  # write
    words.append(call)
    for register, value in enumerate(POWER_OFF):
        move(register, value)
    move(8, 142)  # reboot
    words.append(call)
    move(0, 0)
    move(8, 93)  # exit, which panics: over either way
    words.append(call)
    distance = (len(words) - adr) * 4
    words[adr] = 0x10000000 | (distance & 3) << 29 | (distance >> 2) << 5 | 1
    return _elf(struct.pack(f"<{len(words)}I", *words) + MARK, machine=183)


def _elf(code: bytes, *, machine: int) -> bytes:
    """A static 64-bit program of one segment that begins with its first instruction."""
    base, head = 0x400000, 64 + 56
    size = head + len(code)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    elf = ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, base + head, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return elf + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000) + code


TINY: Final[dict[Arch, Callable[[], bytes]]] = {"x86_64": tiny_x86_64, "aarch64": tiny_aarch64}


def version_text(program: str) -> str:
    result = proc.run([program, "--version"], deadline=Deadline.after(20))
    return (result.text().splitlines() or [""])[0]


def version(text: str) -> tuple[int, int]:
    """(major, minor) from the output of `--version`. Raises PreconditionError when it is not QEMU's."""
    found = _VERSION.search(text)
    if found is None:
        raise PreconditionError(f"this is not QEMU: --version prints {text or 'nothing'!r}", fix="lab doctor --install")
    return int(found[1]), int(found[2])
