"""What must survive a kill: events, state, whole folders, the seal, the lock, and no process of ours."""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.guest.linux import ending
from lab.guest.linux.accounts import open_accounts
from lab.guest.linux.atomic_files import publish
from lab.guest.linux.child import Child, ChildProcesses, cpu_set
from lab.guest.linux.mounts import MountFailed, find_disk
from lab.guest.linux.procfs import boot_id, start_ticks
from lab.guest.run import launch
from lab.guest.run.journal import Journal, read_state, write_state
from lab.guest.run.launch import new_unit, unit_argv
from lab.guest.run.lock import Busy, Lock, holder
from lab.guest.run.seal import read_seal, seal


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ending.RUNTIME_ENV, str(tmp_path / "runtime"))


def test_event_numbers_go_on_and_a_torn_line_is_ended(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.emit("state", phase="running")
    journal.emit("notice", text="one")
    journal.close()
    path = tmp_path / "events.jsonl"
    path.write_bytes(path.read_bytes() + b'{"seq": 9, "tor')
    journal = Journal(tmp_path)
    journal.emit("notice", text="two")
    journal.close()
    lines = path.read_text().splitlines()
    assert [json.loads(line)["seq"] for line in (lines[0], lines[1], lines[3])] == [1, 2, 3]
    assert json.loads(lines[3])["boot_id"] == boot_id()


def test_state_is_read_back_and_a_broken_one_is_none(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    write_state(tmp_path, "d1", "running", 1, 4)
    state = read_state(tmp_path)
    assert state is not None
    assert (state.plan_digest, state.phase, state.cells_done, state.cells_total) == ("d1", "running", 1, 4)
    (tmp_path / "state.json").write_text("{")
    assert read_state(tmp_path) is None


def test_seal_names_whole_files_only(tmp_path: Path) -> None:
    for name in ("cells/a/cell.json", "cells/.tmp-b/cell.json", "work/x", "state.json", "launch.log", "plan.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("plan.json")
    assert read_seal(tmp_path) is None
    manifest = seal(tmp_path, "run", "digest", ("a",), "complete", "")
    assert [entry.path for entry in manifest.files] == ["cells/a/cell.json", "plan.json"]
    assert manifest.files[1].size == len("plan.json")
    assert read_seal(tmp_path) == manifest


def test_publish_shows_a_folder_whole_and_again(tmp_path: Path) -> None:
    for text in ("one", "two"):
        temp = tmp_path / ".tmp-a"
        temp.mkdir()
        (temp / "f").write_text(text)
        publish(temp, tmp_path / "a")
        assert (tmp_path / "a" / "f").read_text() == text
        assert not temp.exists()


def test_one_lock_for_all_runs_of_a_machine(tmp_path: Path) -> None:
    (tmp_path / "runs" / "one").mkdir(parents=True)
    first = Lock(tmp_path / "runs" / "one" / "guest", "d1")
    with pytest.raises(Busy) as busy:
        Lock(tmp_path / "runs" / "two", "d2")
    assert busy.value.digest == "d1"
    assert holder()["digest"] == "d1"
    first.close()
    assert holder() == {}
    Lock(tmp_path / "runs" / "two", "d2").close()


def children(work: Path) -> ChildProcesses:
    return ChildProcesses(open_accounts("t", delegated=False, systemd=False, sources=()), work / "runs/one")


def grandchild(work: Path, then: str) -> tuple[Child, int]:
    """A child that starts another in the background, tells its pid and goes on as `then`."""
    child = children(work).spawn("sh", "service", ["sh", "-c", f"sleep 60 & echo $!; {then}"], dict(os.environ), work)
    ends = time.monotonic() + 10
    while not child.lines() and time.monotonic() < ends:
        time.sleep(0.01)
    return child, int(child.lines()[0])


def gone(pid: int) -> bool:
    ends = time.monotonic() + 5
    while start_ticks(pid) is not None and time.monotonic() < ends:
        time.sleep(0.01)
    return start_ticks(pid) is None


@pytest.mark.parametrize("then", ["exec sleep 60", "trap '' TERM; while :; do sleep 0.1; done", "exit 3"])
def test_what_a_child_started_does_not_outlive_it(tmp_path: Path, then: str) -> None:
    child, other = grandchild(tmp_path, then)
    child.stop(0.5)
    assert gone(other)


def test_a_child_dies_with_its_guest_half(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, time, os\n"
        "from lab.guest.linux.accounts import open_accounts\n"
        "from lab.guest.linux.child import ChildProcesses\n"
        "w = pathlib.Path(sys.argv[1])\n"
        "n = ChildProcesses(open_accounts('t', delegated=False, systemd=False, sources=()), w / 'runs/one')\n"
        "c = n.spawn('sleep', 'service', ['sleep', '60'], dict(os.environ), w)\n"
        "print(c.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    guest = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert guest.stdout is not None
    pid = int(guest.stdout.readline())
    assert start_ticks(pid) is not None
    guest.kill()
    guest.communicate()
    ends = time.monotonic() + 10
    while start_ticks(pid) is not None and time.monotonic() < ends:
        time.sleep(0.02)
    assert start_ticks(pid) is None


def test_disks_are_found_by_serial(tmp_path: Path) -> None:
    for name, serial in (("vda", "root"), ("vdb", "lab-1234")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "serial").write_text(serial + "\n")
    assert find_disk("lab-1234", tmp_path) == "/dev/vdb"
    with pytest.raises(MountFailed, match=r"no disk with serial other \(known: lab-1234, root\)"):
        find_disk("other", tmp_path)


def test_the_unit_owns_its_cgroup_and_its_children() -> None:
    out = Path("/var/lib/lab/runs/r1/guest")
    argv = unit_argv(new_unit("0123456789abcdef", out), ["python3", "guest.pyz", "run"], out)
    assert argv[0] == "systemd-run"
    units = f"--unit=lab-guest-{ending.tag('/var/lib/lab/runs')}-0123456789ab-*.service"
    assert len(fnmatch.filter(argv, units)) == 1
    assert {"--property=Delegate=yes", "--collect"} <= set(argv)
    assert argv[argv.index("--") + 1 :] == ["python3", "guest.pyz", "run"]


def test_cpu_lists() -> None:
    assert cpu_set("0-2,5") == {0, 1, 2, 5}
    assert cpu_set("") == set()


def test_a_run_that_ends_just_before_it_is_stopped_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "runs/one/guest"
    ended = subprocess.Popen(["true"])
    ended.wait()
    looks = iter([{"pid": ended.pid, "out": str(out)}])
    monkeypatch.setattr(launch, "holder", lambda: next(looks, {}))
    assert launch.stop(out)["alive"] is False
