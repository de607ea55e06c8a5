"""What fills the idle time of a counted machine: real processes on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from lab.guest.linux import filler

HOLDS = """
import sys, time
from lab.guest.linux.filler import filled
with filled(wanted=True) as pid:
    print(pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(("machine", "width"), [("x86_64", 1), ("aarch64", 4)])
def test_a_page_ends_with_a_jump_to_its_start(machine: str, width: int) -> None:
    code = filler.no_ops(machine)
    assert code is not None
    assert len(code) == filler.PAGE
    if machine == "x86_64":
        assert code[-5] == 0xE9
        assert int.from_bytes(code[-4:], "little", signed=True) == -filler.PAGE
    else:
        jump = int.from_bytes(code[-width:], "little")
        words = (jump & 0x3FFFFFF) - (1 << 26)  # a negative number of words, from the jump itself
        assert jump >> 26 == 0b000101
        assert words * width == -(filler.PAGE - width)


def test_a_processor_without_code_is_left_idle() -> None:
    assert filler.no_ops("riscv64") is None


def test_it_runs_where_nothing_else_does_and_ends_with_the_block() -> None:
    with filler.filled(wanted=True) as pid:
        assert pid is not None
        process = psutil.Process(pid)
        while process.cpu_times().user < 0.05:
            assert process.is_running()
            time.sleep(0.02)
        assert os.sched_getscheduler(pid) == os.SCHED_IDLE
        assert process.nice() == filler.LOWEST
        assert [file.fd for file in process.open_files() if file.fd > 2] == []
    assert not psutil.pid_exists(pid)


def test_none_where_time_is_not_counted() -> None:
    with filler.filled(wanted=False) as pid:
        assert pid is None


def test_it_dies_with_the_process_that_started_it() -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        assert psutil.pid_exists(pid)
        child.send_signal(signal.SIGKILL)
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail("it outlived its parent")
