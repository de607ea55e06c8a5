"""A real, emulated machine, broken in the middle of things: the same command again makes it good.

In order, on one machine, so that it boots as seldom as it can; each test leaves what the next `up` takes up.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.machines.providers.qemu import process as qemu_process
from tests.faults.conftest import homes
from tests.faults.running import Running, demo_argv, running
from tests.support import Ran, run_lab

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
NAME = "broken"
BOOT_S = 150.0  # an emulated boot beside whatever else this host does
STOP_S = 20.0
KILLS = 2
PANIC = "echo 1 > /proc/sys/kernel/sysrq; (sleep 1; echo c > /proc/sysrq-trigger) >/dev/null 2>&1 &"
NEW_HOST_KEY = (
    "rm -f /etc/ssh/ssh_host_ed25519_key* && ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key"
    " && systemctl restart lab-ssh"
)

SSH_PIDS = "systemctl show -P MainPID lab-ssh; cat /run/sshd.pid"
KILL_SSH = f"{SSH_PIDS}; kill -9 $(cat /run/sshd.pid); sleep 3"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    yield from homes()


def up(home: Path, code: int = 0) -> Ran:
    ran = run_lab("up", NAME, "--memory", "1024", home=home, limit_s=BOOT_S)
    assert ran.code == code, ran.stderr
    return ran


def handle(home: Path) -> dict[str, str]:
    """The machine's own data, as it was saved."""
    doc = json.loads((home / "machines" / NAME / "machine.json").read_text())
    return dict(doc["handle"]["data"])


def pids(home: Path) -> list[int]:
    return [found.pid for found in qemu_process.processes(handle(home)["uuid"])]


def records(home: Path) -> int:
    """Lines of the machine's journal."""
    path = home / "machines" / NAME / "journal.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


def in_run(demo: Running) -> bool:
    """The guest half has told that a form's processes are ready."""
    return demo.hears('"event": "GuestEvent"') and demo.hears("ready")


def test_up_killed_at_random_records_converges(home: Path) -> None:
    """Kill points are drawn from the journal of an undisturbed `up`; each time from nothing."""
    up(home)
    last = records(home)
    for record in sorted(random.Random(20261122).sample(range(1, last - 1), KILLS)):
        assert run_lab("down", NAME, home=home).code == 0
        with running("up", NAME, "--memory", "1024", home=home) as first:

            def reached(record: int = record) -> bool:
                return records(home) >= record

            first.until(reached, f"record {record} of {last}", BOOT_S)
            first.signal(signal.SIGKILL)
            assert first.wait() == -signal.SIGKILL, first.said()
        up(home)
        assert len(pids(home)) == 1, f"one machine after a kill at record {record}"
        assert run_lab("exec", "--name", NAME, "--", "true", home=home, limit_s=BOOT_S).code == 0
        assert "already" in up(home).stderr


def test_up_stopped_by_ctrl_c_ends_soon_and_converges(home: Path) -> None:
    assert run_lab("down", NAME, home=home).code == 0
    with running("up", NAME, "--memory", "1024", home=home) as first:
        first.until((home / "machines" / NAME / "serial.log").exists, "a machine that boots", BOOT_S)
        first.signal(signal.SIGINT)
        assert first.wait(STOP_S) == 130, first.said()
        assert first.hears("stopping at the next safe point")
        assert first.hears("run the command again to continue")
    up(home)
    assert len(pids(home)) == 1


def test_a_killed_machine_comes_back_beside_its_taken_port(home: Path) -> None:
    up(home)
    endpoint = json.loads((home / "machines" / NAME / "machine.json").read_text())["endpoint"]
    with running(*demo_argv(NAME, "baseline", "--memory", "1024"), home=home) as demo:
        demo.until(lambda: in_run(demo), "the run in the machine")
        (pid,) = pids(home)
        os.kill(pid, signal.SIGKILL)
        assert demo.wait(180) in {5, 6}, demo.said()
        assert demo.hears("the machine exited by itself"), demo.said()
        assert demo.result()["exit"] == demo.process.returncode
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind((endpoint["host"], endpoint["port"]))
        taker.listen()
        up(home)
        now = json.loads((home / "machines" / NAME / "machine.json").read_text())["endpoint"]
        assert now["port"] != endpoint["port"]
        assert run_lab("exec", "--name", NAME, "--", "true", home=home, limit_s=BOOT_S).code == 0
    assert len(pids(home)) == 1


def test_a_panic_in_a_demo_is_told_as_one_and_the_demo_goes_on(home: Path) -> None:
    up(home)
    argv = demo_argv(NAME, "baseline", "--memory", "1024")
    with running(*argv, home=home) as demo:
        demo.until(lambda: in_run(demo), "the run in the machine")
        run_lab("exec", "--name", NAME, "--", "sh", "-c", PANIC, home=home, limit_s=BOOT_S)
        assert demo.wait(180) in {5, 6}, demo.said()
        assert demo.hears("panicked: sysrq triggered crash"), demo.said()
        tail = [line for line in demo.err.read_text().splitlines() if line.startswith("  | ")]
        assert any("sysrq" in line for line in tail), "the end of the serial console"
        assert demo.hears("fix:   run the command again")
    status = run_lab("status", NAME, "--json", home=home)
    assert "panicked" in json.loads(status.stdout)["machines"][0]["reason"]
    with running(*argv, home=home) as again:
        assert again.wait(240) in {0, 6}, again.said()  # 6: a busy host made the cell INVALID
        assert again.hears("which was interrupted"), again.said()
        done = again.result()
    assert Path(done["report"]).is_file()
    assert [path.name for path in (home / "runs").iterdir()] == [done["run_id"]]


def test_ssh_that_is_killed_in_the_machine_comes_back(home: Path) -> None:
    """It starts beside systemd, which takes it over: the unit's own process, replaced when it dies."""
    up(home)
    killed = run_lab("exec", "--name", NAME, "--", "sh", "-c", KILL_SSH, home=home, limit_s=BOOT_S)
    assert killed.code == 0, killed.stderr
    first = killed.stdout.split()
    assert first[0] == first[1] != "0", "systemd's main process is the server that listens"
    again = run_lab("exec", "--name", NAME, "--", "sh", "-c", SSH_PIDS, home=home, limit_s=BOOT_S)
    now = again.stdout.split()
    assert again.code == 0, again.stderr
    assert now[0] == now[1] != first[0]


def test_a_changed_host_key_stops_everything(home: Path) -> None:
    up(home)
    asked = run_lab("exec", "--name", NAME, "--", "sh", "-c", NEW_HOST_KEY, home=home, limit_s=BOOT_S)
    assert asked.code in {0, 255}, asked.stderr
    ran = run_lab("exec", "--name", NAME, "--", "touch", "/root/sent", home=home, limit_s=BOOT_S)
    assert ran.code == 9, ran.stderr
    assert ran.stderr.count("SHA256:") == 2, "both fingerprints"
    config = run_lab("ssh-config", NAME, home=home)
    assert "StrictHostKeyChecking no" not in config.stdout
    demo = run_lab(*demo_argv(NAME, "baseline", "--memory", "1024"), home=home, limit_s=BOOT_S)
    assert demo.code == 9, demo.stderr


def test_down_leaves_nothing_of_a_broken_machine(home: Path) -> None:
    data = handle(home)
    down = run_lab("down", NAME, home=home)
    assert down.code == 0, down.stderr
    assert qemu_process.processes(data["uuid"]) == []
    assert not Path(data["run_dir"]).exists()
    assert list((home / "machines").iterdir()) == []
