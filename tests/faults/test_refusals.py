"""What is wrong before anything starts is reported at once, with its numbers and one fix; nothing is made."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lab.system import locks
from lab.system.wait import Deadline
from tests.faults.running import QUICK, demo_argv, mounted, running
from tests.support import Ran, run_lab

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]
HERE = ("--provider", "local")


def refused(ran: Ran, code: int, *told: str) -> None:
    """It ended with `code`, and said each of `told` on stderr, and one fix."""
    assert ran.code == code, ran.stderr
    for text in told:
        assert text in ran.stderr, ran.stderr
    assert ran.stderr.count("\nfix:") + ran.stderr.startswith("fix:") == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "bug in lab" not in ran.stderr


def test_a_results_folder_that_cannot_be_written(home: Path) -> None:
    with mounted(home / "runs", "ro"):
        ran = run_lab(*demo_argv("no", "baseline", *HERE), home=home)
        refused(ran, 4, str(home / "runs"), "Read-only file system")
    assert not (home / "machines").exists(), "nothing was made before it was told"


def test_a_results_folder_without_room_is_told_with_both_numbers(home: Path) -> None:
    with mounted(home / "runs", "size=32m"):
        ran = run_lab(*demo_argv("no", "baseline", *HERE), home=home)
        refused(ran, 4, "has 33554432 bytes free, a run needs 67108864")
        assert list((home / "runs").iterdir()) == []
    assert not (home / "machines").exists()


def test_a_disk_too_small_for_a_machine_is_told_with_both_numbers(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=64m"):
        ran = run_lab("up", "no", home=tmp_path / "small")
        refused(ran, 4, "bytes free, 1,572,864,000 needed")
        assert not list((tmp_path / "small/machines/no").glob("disk*"))


def programs_but(folder: Path, *left_out: str) -> str:
    """A PATH with every program of this host except those."""
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            link = folder / program.name
            if program.name not in left_out and not link.exists() and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


def test_no_qemu(home: Path, tmp_path: Path) -> None:
    path = programs_but(tmp_path / "bin", "qemu-system-x86_64")
    ran = run_lab("up", "no", home=home, env={"PATH": path})
    refused(ran, 4, "qemu-system-x86_64 is not installed", "lab doctor --install")
    doctor = run_lab("doctor", home=home, env={"PATH": path})
    assert doctor.code == 4
    assert "qemu-system" in doctor.stdout + doctor.stderr
    assert not list((home / "machines/no").glob("disk*"))


def test_an_old_qemu(home: Path, tmp_path: Path) -> None:
    path = programs_but(tmp_path / "bin", "qemu-system-x86_64")
    fake = tmp_path / "bin/qemu-system-x86_64"
    fake.write_text("#!/bin/sh\necho 'QEMU emulator version 5.2.0 (Debian 1:5.2+dfsg-11)'\n")
    fake.chmod(0o755)
    ran = run_lab("up", "no", home=home, env={"PATH": path})
    refused(ran, 4, "QEMU emulator version 5.2.0", "is too old", "or newer is needed")
    assert not list((home / "machines/no").glob("disk*"))


def test_everything_wrong_is_told_in_one_pass(home: Path, tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(
        "schema: 1\nmachine:\n  memory_mib: lots\n  cpuz: 2\ndemo:\n  scenario: shopp\n  forms: [baselin, ebpf]\n"
    )
    ran = run_lab("demo", "--yes", home=home, cwd=tmp_path, env={"LAB_MACHINE_CPUSS": "2"})
    refused(
        *(ran, 3, "lab.yaml:3:15", "'lots'", "lab.yaml:4:9", "did you mean 'cpus'?"),
        *("LAB_MACHINE_CPUSS: unknown; did you mean 'LAB_MACHINE_CPUS'?",),
        *("no scenario 'shopp'; did you mean 'shop'?", "no form 'baselin'; did you mean 'baseline'?"),
    )
    assert not (home / "machines").exists()


def test_a_faulty_scenario_file_is_told_with_every_place(home: Path, tmp_path: Path) -> None:
    text = QUICK.read_text().replace("warmup_requests: 10", "warmup_requets: 10").replace("native: 40", "native: fast")
    (tmp_path / "s.yaml").write_text(text)
    ran = run_lab("demo", str(tmp_path / "s.yaml"), "--form", "ebfp", home=home)
    refused(ran, 3, "s.yaml:9:", "'fast'", "s.yaml:11:1", "'warmup_requests'", "no form 'ebfp'; did you mean 'ebpf'?")


def test_a_machine_in_use_is_locked_and_a_wait_can_be_stopped(home: Path) -> None:
    lock = home / "locks/machine-busy"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with locks.hold(lock, what="machine busy", deadline=Deadline.after(5)):
        ran = run_lab("up", "busy", *HERE, "--lock-timeout", "0.5", home=home)
        refused(ran, 8, "machine busy", str(os.getpid()))
        with running("up", "busy", *HERE, "--lock-timeout", "60", home=home) as waiting:
            waiting.until(lambda: waiting.hears("waiting for machine busy"), "a word on what it waits for", 20)
            began = time.monotonic()
            waiting.process.send_signal(2)
            assert waiting.wait(10) == 130, waiting.said()
            assert time.monotonic() - began < 5
            assert waiting.hears("stopping at the next safe point")
