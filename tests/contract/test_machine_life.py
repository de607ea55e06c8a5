"""A real machine through its life: up, proven alive without a login, broken in several ways, down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.machines import lifecycle
from lab.machines.providers.qemu import process as qemu_process
from lab.machines.providers.qemu.start import QemuHandle
from lab.model.errors import SecurityStop, UsageError
from lab.model.lab import Lab
from lab.model.machine import Machine, MachineSpec, SshEndpoint
from lab.remote import connect
from lab.system.wait import Deadline
from tests.contract.sshd import with_key
from tests.support import ROOT, lab_at, own_home

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]
SPEC = MachineSpec(name="life", memory_mib=1024, clock="real")
# What a second `up` on a ready machine may take, from an empty process on; contract of the whole product.
SECOND_UP_S = 1.5
BUSY = 3.0  # this suite shares two cores with whatever else runs

SECOND_UP = """
import json, sys, time
began = time.monotonic()
from pathlib import Path
from lab.machines import lifecycle
from lab.model.config import Config
from lab.model.events import Bus, StepFinished
from lab.model.lab import Lab
from lab.model.machine import MachineSpec
from lab.model.paths import Paths
seen = []
lab = Lab(config=Config(), paths=Paths(home=Path(sys.argv[1])), bus=Bus((lambda r: seen.append(r.event),)))
lifecycle.up(lab, MachineSpec(name="life", memory_mib=1024, clock="real"), lock_timeout_s=5)
steps = [(e.name, e.outcome) for e in seen if isinstance(e, StepFinished)]
print(json.dumps({"seconds": time.monotonic() - began, "steps": steps, "ssh": "paramiko" in sys.modules}))
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A home of its own with the shared cache below it, so that machines of other tests are none of its business."""
    with own_home("life") as home:
        yield lab_at(home)


@pytest.fixture
def up(lab: Lab) -> Machine:
    return lifecycle.up(lab, SPEC, lock_timeout_s=5)


def process_of(machine: Machine) -> int:
    assert isinstance(machine.handle, QemuHandle)
    found = qemu_process.processes(machine.handle.uuid)
    assert len(found) == 1
    return found[0].pid


def test_openssh_gets_in_by_the_file_we_wrote(lab: Lab, up: Machine) -> None:
    argv = [*lifecycle.ssh_argv(lab, SPEC.name), "cat /etc/lab/image-id"]
    told = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True)
    assert told.stdout.strip() == up.image_id
    with lifecycle.reach(lab, SPEC.name) as link:
        assert link.run(["sh", "-c", "exit 7"], Deadline.after(60)).code == 7


def test_a_second_up_changes_nothing_and_logs_in_nowhere(lab: Lab, up: Machine) -> None:
    pid, journal = process_of(up), (lab.paths.machine(SPEC.name) / "journal.jsonl").read_bytes()
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", SECOND_UP, str(lab.paths.home)]
    told = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True, env=env, timeout=60).stdout)
    assert told["steps"] == [["up", "skipped"]]
    assert not told["ssh"], "the SSH library was not even loaded"
    assert told["seconds"] < SECOND_UP_S * BUSY
    assert process_of(up) == pid
    assert (lab.paths.machine(SPEC.name) / "journal.jsonl").read_bytes() == journal


def test_another_spec_under_the_same_name_is_refused(lab: Lab, up: Machine) -> None:
    with pytest.raises(UsageError, match="memory_mib 1024, wanted 2048"):
        lifecycle.up(lab, MachineSpec(name="life", memory_mib=2048, clock="real"), lock_timeout_s=5)


def test_another_host_key_behind_the_port_stops_everything(lab: Lab, up: Machine) -> None:
    assert isinstance(up.endpoint, SshEndpoint)
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOrEacep0B5mCTdl3r3XcmHy1L0WQjSdCx5dSkOfwiIa"
    with pytest.raises(SecurityStop) as caught:
        connect(lab, with_key(up.endpoint, other), Deadline.after(120))
    assert caught.value.exit_code == 9


def test_a_paused_machine_goes_on(lab: Lab, up: Machine) -> None:
    assert isinstance(up.handle, QemuHandle)
    socket = Path(up.handle.run_dir) / "qmp"
    with qemu_process.session(socket, up.handle.uuid, Deadline.after(10)) as qmp:
        qmp.execute("stop")
    seen = lifecycle.status(lab, SPEC.name)
    assert (seen.phase, seen.alive) == ("broken", False)
    assert lifecycle.up(lab, SPEC, lock_timeout_s=5).ready_boot_id == up.ready_boot_id
    assert lifecycle.status(lab, SPEC.name).alive


def test_a_panic_is_told_as_one_and_the_next_up_boots_again(lab: Lab, up: Machine) -> None:
    crash = ["sh", "-c", "echo 1 > /proc/sys/kernel/sysrq; (sleep 1; echo c > /proc/sysrq-trigger) >/dev/null 2>&1 &"]
    with lifecycle.reach(lab, SPEC.name) as link:
        link.run(crash, Deadline.after(60))
    waited = Deadline.after(60)
    while lifecycle.status(lab, SPEC.name).phase == "running":
        assert not waited.passed()
        waited.sleep(0.5)
    assert "panicked: sysrq triggered crash" in lifecycle.status(lab, SPEC.name).reason
    again = lifecycle.up(lab, SPEC, lock_timeout_s=5)
    assert again.ready_boot_id not in {"", up.ready_boot_id}


def test_a_killed_process_is_made_good(lab: Lab, up: Machine) -> None:
    os.kill(process_of(up), 9)
    assert lifecycle.up(lab, SPEC, lock_timeout_s=5).ready_boot_id != up.ready_boot_id


def test_down_leaves_nothing(lab: Lab, up: Machine) -> None:
    assert isinstance(up.handle, QemuHandle)
    began = time.monotonic()
    assert lifecycle.down(lab, SPEC.name)
    assert time.monotonic() - began < 10
    assert qemu_process.processes(up.handle.uuid) == []
    assert not Path(up.handle.run_dir).exists()
    assert list(lab.paths.machines.iterdir()) == []
    assert lifecycle.status(lab, SPEC.name).phase == "absent"
