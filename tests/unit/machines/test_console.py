"""Panic, hang, slow SSH and a machine that ended are reported apart; the consoles are recorded from real machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.machines.vm.console import ConsoleReading, diagnose, tail

RECORDED = Path(__file__).parents[2] / "golden" / "serial"


def seen(name: str, *, running: bool = True, beat_age_s: float | None = None) -> ConsoleReading:
    text = (RECORDED / name).read_text(encoding="utf-8") if name else ""
    return ConsoleReading(serial=text, running=running, beat_age_s=beat_age_s, fresh_s=15)


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (seen("panic.log", running=False, beat_age_s=3), "guest-panic"),
        (seen("panic.log", running=True), "guest-panic"),
        (seen("no-root-disk.log", running=False), "boot-failed"),
        (seen("quiet.log", running=False), "vm-ended"),
        (seen("quiet.log"), "never-up"),
        (seen("quiet.log", beat_age_s=40), "guest-hang"),
        (seen("quiet.log", beat_age_s=1), "ssh-slow"),
        (seen(""), "never-up"),
    ],
)
def test_kinds(what: ConsoleReading, kind: str) -> None:
    found = diagnose(what)
    assert found.kind == kind
    assert found.fix


def test_a_panic_is_told_in_the_kernels_words() -> None:
    assert "sysrq triggered crash" in diagnose(seen("panic.log", running=False)).message


def test_an_init_that_gave_up_is_told_in_its_words() -> None:
    text = "lab-init: address of eth0: no such device\nlab-init: FAILED: mount root disk: no such file\n"
    found = diagnose(ConsoleReading(serial=text, running=True, beat_age_s=None, fresh_s=15))
    assert found.kind == "boot-failed"
    assert found.message == "did not boot: mount root disk: no such file"


def test_the_tail_cannot_repaint_a_terminal() -> None:
    assert tail("a\x1b[2Jb\r\nc\x07\n") == "ab\nc"
    assert len(tail("line\n" * 500).splitlines()) == 50


def test_a_panic_is_shown_from_its_reason_on_however_long_its_trace() -> None:
    console = "\n".join(
        ["boot"] * 80
        + ["sysrq: Trigger a crash", "Kernel panic - not syncing: sysrq triggered crash"]
        + [f"trace {n}" for n in range(60)]
    )
    shown = tail(console).splitlines()
    assert "Kernel panic - not syncing: sysrq triggered crash" in shown
    assert "sysrq: Trigger a crash" in shown
    assert len(shown) <= 25  # what a terminal is given of an error's detail
