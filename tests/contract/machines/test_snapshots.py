"""A real machine kept and gone on from: memory, disks and processes as they were, whatever came between."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from lab.machines import lifecycle, snapshots
from lab.machines.providers.qemu import process as qemu_process
from lab.machines.providers.qemu.start import QemuHandle
from lab.model.errors import PreconditionError, UsageError
from lab.model.events import Record, StepFinished
from lab.model.lab import Lab
from lab.model.machine import MachineSpec
from lab.remote import connect
from lab.remote.base import Transport
from lab.system.wait import Deadline
from tests.support import lab_at, own_home

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]
NAME = "kept"
SPEC = MachineSpec(name=NAME, memory_mib=1024, clock="real")
SESSIONS = "^sshd(-session)?: .*@"
KEY = ("qemu", "accelerator", "cpu", "machine type", "topology", "image", "kernel", "devices")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with own_home("kept") as home:
        yield lab_at(home)


@pytest.fixture(scope="module")
def kept(lab: Lab) -> snapshots.Snapshot:
    """Kept with a disk plugged in, a file in memory and a process under way."""
    machine = lifecycle.up(lab, SPEC, lock_timeout_s=5)
    image = lab.paths.home / "extra.raw"
    image.write_bytes(b"on the disk\n".ljust(1 << 20, b"\0"))
    lifecycle.attach_disk(lab, machine, image, "art-1")
    said(lab, "echo in memory > /run/word; (exec sleep 4321) > /dev/null 2>&1 & echo")
    assert machine.endpoint is not None
    with connect(lab, machine.endpoint, Deadline.after(60)):  # somebody is logged in meanwhile
        return snapshots.save(lab, NAME, "ready", standby={"by": "this test"})


def said(lab: Lab, script: str) -> str:
    with lifecycle.reach(lab, NAME) as link:
        result = link.run(["sh", "-c", script], Deadline.after(60))
    assert result.ok, result.tail()
    return result.text().strip()


def pid(lab: Lab) -> int:
    machine = lifecycle.machine(lab, NAME)
    assert machine is not None
    assert isinstance(machine.handle, QemuHandle)
    return qemu_process.processes(machine.handle.uuid)[0].pid


def assert_as_kept(lab: Lab, kept: snapshots.Snapshot) -> None:
    assert said(lab, "cat /run/word") == "in memory"
    assert said(lab, "pgrep -fx 'sleep 4321'")
    assert said(lab, "head -c 11 /dev/$(cd /sys/block; grep -l art-1 */serial | cut -d/ -f1)") == "on the disk"
    assert said(lab, "cat /proc/sys/kernel/random/boot_id") == kept.boot_id


def test_what_came_after_is_undone_and_what_ran_runs_on(lab: Lab, kept: snapshots.Snapshot) -> None:
    said(lab, "rm /run/word; pkill -fx 'sleep 4321'; echo later > /root/later")
    first: list[tuple[Any, str]] = []

    def on_restored(link: Transport, saved: snapshots.Snapshot) -> None:
        first.append((saved.standby, link.run(["cat", "/run/word"], Deadline.after(60)).text()))

    went = snapshots.restore(lab, NAME, "ready", fallback=False, on_restored=on_restored)
    assert went.restored
    assert (went.standby, first) == ({"by": "this test"}, [({"by": "this test"}, "in memory\n")])
    assert said(lab, f"pgrep -fc '{SESSIONS}'") == "1", "only the one that asks: those of before are ended"
    assert_as_kept(lab, kept)
    assert said(lab, "ls /root") == ""
    assert went.behind_s > 0
    assert lifecycle.status(lab, NAME).alive
    assert lifecycle.up(lab, SPEC, lock_timeout_s=5).ready_boot_id == kept.boot_id, "ready, by what `up` asks"


def test_it_comes_back_from_a_killed_process_too(lab: Lab, kept: snapshots.Snapshot) -> None:
    os.kill(pid(lab), 9)
    assert snapshots.restore(lab, NAME, "ready", fallback=False).restored
    assert_as_kept(lab, kept)
    assert snapshots.names(lab, NAME) == ["ready"]


def test_a_name_that_is_not_there_and_one_that_cannot_be(lab: Lab, kept: snapshots.Snapshot) -> None:
    with pytest.raises(UsageError, match="did you mean 'ready'"):
        snapshots.restore(lab, NAME, "raedy")
    with pytest.raises(UsageError, match="is not a valid snapshot name"):
        snapshots.save(lab, NAME, "../../x")


def test_what_it_must_fit_is_looked_at_before_anything_is_ended(lab: Lab, kept: snapshots.Snapshot) -> None:
    record = lab.paths.machine(NAME) / "snapshots/ready.json"
    whole, before = record.read_text(), pid(lab)
    assert set(json.loads(whole)["kept"]["key"]) == set(KEY)
    for part in KEY:
        doc = json.loads(whole)
        doc["kept"]["key"][part] = "another"
        record.write_text(json.dumps(doc))
        with pytest.raises(PreconditionError, match=f"{part} was another, is "):
            snapshots.restore(lab, NAME, "ready", fallback=False)
    record.write_text(whole)
    assert pid(lab) == before


def test_another_qemu_is_told_and_the_machine_booted(lab: Lab, kept: snapshots.Snapshot) -> None:
    record = lab.paths.machine(NAME) / "snapshots/ready.json"
    whole = record.read_text()
    doc = json.loads(whole)
    doc["kept"]["key"]["qemu"] = "QEMU emulator version 6.2.0"
    record.write_text(json.dumps(doc))
    before = pid(lab)
    with pytest.raises(PreconditionError, match=r"qemu was QEMU emulator version 6\.2\.0"):
        snapshots.restore(lab, NAME, "ready", fallback=False)
    assert pid(lab) == before, "what runs was not touched"
    went = snapshots.restore(lab, NAME, "ready")
    assert (went.restored, went.machine.ready_boot_id != kept.boot_id) == (False, True)
    assert "6.2.0" in went.reason
    record.write_text(whole)
    assert snapshots.restore(lab, NAME, "ready", fallback=False).restored, "the state itself is still there"


def test_a_state_that_qemu_lost_and_a_disk_that_changed_end_in_a_boot(lab: Lab, kept: snapshots.Snapshot) -> None:
    seen: list[Record] = []
    lab.bus.add(seen.append)
    image = lab.paths.home / "extra.raw"
    now = image.stat()
    os.utime(image, ns=(now.st_atime_ns, now.st_mtime_ns + 1))
    with pytest.raises(PreconditionError, match=r"extra\.raw has changed"):
        snapshots.restore(lab, NAME, "ready", fallback=False)
    os.utime(image, ns=(now.st_atime_ns, now.st_mtime_ns))
    (lab.paths.machine(NAME) / "snapshots/ready.json").rename(lab.paths.machine(NAME) / "snapshots/other.json")
    doc = json.loads((lab.paths.machine(NAME) / "snapshots/other.json").read_text())
    (lab.paths.machine(NAME) / "snapshots/other.json").write_text(json.dumps(doc | {"name": "other"}))
    went = snapshots.restore(lab, NAME, "other")
    assert not went.restored
    assert lifecycle.status(lab, NAME).alive
    failed = [r.event.name for r in seen if isinstance(r.event, StepFinished) and r.event.outcome == "failed"]
    assert failed.count("restore") == 2
