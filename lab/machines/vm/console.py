"""Diagnoses why a machine is not ready from its serial console, its heartbeat and its process. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["guest-panic", "boot-failed", "vm-ended", "guest-hang", "ssh-slow", "never-up"]
TAIL_LINES: Final = 50
BEFORE_PANIC: Final = 6
AFTER_PANIC: Final = 18  # the reason and the top of its trace; registers follow
_PANIC: Final = re.compile(r"Kernel panic - not syncing: ?(.*)")
_INIT: Final = re.compile(r"lab-init: FAILED: (.*)")
_OOM: Final = re.compile(r"Out of memory: Killed process \d+ \((\S+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleReading:
    """The evidence. `beat_age_s`: seconds since the last heartbeat, None when there was none in this boot."""

    serial: str
    running: bool
    beat_age_s: float | None
    fresh_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """`message` completes the sentence "the machine …"."""

    kind: Kind
    message: str
    fix: str


def diagnose(reading: ConsoleReading) -> Diagnosis:
    """The first cause that the evidence shows, surest first. QEMU's exit code is no evidence: 0 after a panic."""
    # our init's error says more than the panic that its exit causes
    if (failed := _INIT.findall(reading.serial)) and reading.beat_age_s is None:
        return Diagnosis(kind="boot-failed", message=f"did not boot: {failed[-1].strip()}", fix="lab down, then lab up")
    if panic := panic_text(reading.serial):
        return Diagnosis(kind="guest-panic", message=f"panicked: {panic}", fix="lab down, then lab up")
    if not reading.running:
        return Diagnosis(kind="vm-ended", message="exited by itself", fix="lab logs (a common cause: out of memory)")
    if reading.beat_age_s is None:
        message = "runs, but its system did not boot"
        return Diagnosis(kind="never-up", message=message, fix="lab logs, or lab down and lab up again")
    if reading.beat_age_s > reading.fresh_s:
        message = f"hangs: no heartbeat for {reading.beat_age_s:.0f} s"
        return Diagnosis(kind="guest-hang", message=message, fix="lab down, then lab up")
    killed = _OOM.search(reading.serial)
    why = f" ({killed[1]} was killed: out of memory)" if killed else ""
    message = f"is running, but its SSH server does not answer{why}"
    return Diagnosis(kind="ssh-slow", message=message, fix="run the command again on a less busy host")


def panic_text(serial: str) -> str:
    """The reason of a kernel panic, empty without one."""
    found = _PANIC.search(serial)
    return "" if found is None else found[1].strip() or "no reason given"


def tail(serial: str, lines: int = TAIL_LINES) -> str:
    """The end of a console, or the lines around a panic; without the control characters that repaint a terminal."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]", "", serial.replace("\r", ""))
    rows = plain.strip().splitlines()
    panic = next((index for index, line in enumerate(rows) if _PANIC.search(line)), None)
    if panic is not None:
        return "\n".join(rows[max(0, panic - BEFORE_PANIC) : panic + AFTER_PANIC])
    return "\n".join(rows[-lines:])
