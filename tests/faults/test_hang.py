"""A real machine that hangs, paused, stopped and starved ones beside it: told apart within seconds, and healed by `up`.

The hang is one from outside: in the machine both processors run real-time loops that nothing interrupts, so that its
heart stops while QEMU runs. The fault of QEMU before 8.1 itself is in tests/e2e/test_boots.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.machines.providers.qemu import process as qemu_process
from lab.model.paths import HEARTBEAT_LOG, QMP_SOCKET
from lab.system.wait import Deadline
from tests.faults.conftest import homes
from tests.faults.running import running
from tests.support import Ran, run_lab

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]
NAME = "hanging"
BOOT_S = 200.0
SAID_S = 15.0  # on a quiet host; a busy one takes as much longer as it is slower
# who starts the loops stands above them, so that the first cannot keep it from starting the second
HANG = (
    "echo -1 > /proc/sys/kernel/sched_rt_runtime_us; chrt -f 95 sh -c 'sleep 2; for cpu in 0 1; do"
    ' taskset -c $cpu chrt -f 50 sh -c "while :; do :; done" & done; wait\' >/dev/null 2>&1 </dev/null &'
)
SPIN = "while True: pass"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    yield from homes()


def up(home: Path) -> Ran:
    ran = run_lab("up", NAME, "--memory", "1024", home=home, limit_s=BOOT_S)
    assert ran.code == 0, ran.stderr
    return ran


def execute(home: Path, *argv: str) -> Ran:
    return run_lab("exec", "--name", NAME, "--", *argv, home=home, limit_s=BOOT_S)


def boot_id(home: Path) -> str:
    doc = json.loads((home / "machines" / NAME / "machine.json").read_text())
    return str(doc["ready_boot_id"])


def data(home: Path) -> dict[str, Any]:
    doc = json.loads((home / "machines" / NAME / "machine.json").read_text())
    return dict(doc["handle"]["data"])


def status(home: Path) -> dict[str, Any]:
    ran = run_lab("status", NAME, "--json", home=home)
    assert ran.code == 0, ran.stderr
    return dict(json.loads(ran.stdout)["machines"][0])


def beats(home: Path) -> int:
    return (home / "machines" / NAME / HEARTBEAT_LOG).stat().st_size


def slower() -> float:
    """How much slower this host is now than a quiet one."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def until_silent(home: Path) -> None:
    """Until no heartbeat came for 5 s."""
    end, size, since = time.monotonic() + 60, beats(home), time.monotonic()
    while time.monotonic() - since < 5:
        assert time.monotonic() < end, "it goes on beating"
        time.sleep(0.2)
        if (now := beats(home)) != size:
            size, since = now, time.monotonic()


@contextlib.contextmanager
def loops(number: int) -> Iterator[None]:
    """As many processes that want a whole processor of this host."""
    started = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(number)]
    try:
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()


def test_a_machine_on_a_starved_host_does_not_hang(home: Path) -> None:
    up(home)
    with loops(4 * (os.cpu_count() or 1)):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            seen = status(home)
            assert (seen["phase"], seen["alive"]) == ("running", True), seen


def test_nor_does_one_that_was_paused_or_stopped(home: Path) -> None:
    """Also when its last heartbeat is as old as after an hour's sleep of the host."""
    up(home)
    before = boot_id(home)
    own = data(home)
    log = home / "machines" / NAME / HEARTBEAT_LOG
    with qemu_process.session(Path(own["run_dir"]) / QMP_SOCKET, own["uuid"], Deadline.after(30)) as qmp:
        qmp.execute("stop")
    (process,) = qemu_process.processes(own["uuid"])
    os.utime(log, (time.time() - 3600,) * 2)
    assert status(home)["reason"] == "paused: paused"
    assert "hung" not in up(home).stderr
    process.send_signal(signal.SIGSTOP)
    time.sleep(1)
    os.utime(log, (time.time() - 3600,) * 2)
    assert "was stopped by a signal" in status(home)["reason"]
    assert "hung" not in up(home).stderr
    assert boot_id(home) == before, "it went on as it was"
    assert qemu_process.processes(own["uuid"])[0].pid == process.pid


def test_a_hang_is_said_at_once_wherever_it_is_met_and_up_heals_it(home: Path) -> None:
    up(home)
    before = boot_id(home)
    assert execute(home, "sh", "-c", "echo kept > /root/kept; sync").code == 0
    assert execute(home, "sh", "-c", HANG).code == 0
    with running("exec", "--name", NAME, "--", "sleep", "600", home=home) as waiting:
        until_silent(home)
        began = time.monotonic()
        assert waiting.wait(120) == 5, waiting.said()
        took_s = time.monotonic() - began
        assert waiting.hears(f"machine {NAME} is hung: no heartbeat for"), waiting.said()
        assert waiting.hears(f"fix:   lab up {NAME}"), waiting.said()
    assert took_s <= SAID_S * slower(), took_s
    for argv in (["ssh-config", NAME], ["snapshot", NAME], ["exec", "--name", NAME, "--", "true"]):
        began = time.monotonic()
        ran = run_lab(*argv, home=home, limit_s=120)
        assert ran.code != 0
        assert "no heartbeat for" in ran.stderr, ran.stderr
        assert f"lab up {NAME}" in ran.stderr, ran.stderr
        assert time.monotonic() - began <= SAID_S * slower(), argv
    assert status(home)["phase"] == "hung"
    assert "is hung" in run_lab("logs", NAME, home=home).stderr
    healed = up(home)
    assert "restarting it (1 of at most 3)" in healed.stderr, healed.stderr
    assert boot_id(home) != before
    assert execute(home, "cat", "/root/kept").stdout == "kept\n", "what was on its disk is kept"


def test_an_up_that_is_killed_before_a_hang_is_followed_by_one_that_converges(home: Path) -> None:
    """Killed in `verify`, as in the fault that was seen: never ready, nothing in it is of value."""
    assert run_lab("down", NAME, home=home).code == 0
    with running("up", NAME, "--memory", "1024", home=home) as first:
        first.until(lambda: first.hears("verify the machine"), "the last step", BOOT_S)
        first.signal(signal.SIGKILL)
        first.wait()
    assert boot_id(home) == ""
    assert execute(home, "sh", "-c", HANG).code == 0
    until_silent(home)
    healed = up(home)
    assert "restarting it" in healed.stderr, healed.stderr
    assert execute(home, "true").code == 0
