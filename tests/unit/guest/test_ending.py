"""The end of a machine's runs: whose a process is, whatever was removed, and what is named when it stays.

The case is local-down-leaves-run; real processes, in a runtime place of this test's own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.guest.linux import ending, mounts
from lab.guest.linux.accounts import Accounts, open_accounts
from lab.guest.linux.child import ChildProcesses
from lab.guest.linux.procfs import boot_id, start_ticks
from lab.guest.run.journal import read_state
from lab.guest.run.lock import Busy, Lock, holder

Starts = Callable[..., "subprocess.Popen[bytes]"]
SLEEPER = "import time\nprint('up', flush=True)\ntime.sleep(60)\n"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ending.RUNTIME_ENV, str(tmp_path / "runtime"))
    found = tmp_path / "machine/guest/runs"
    (found / "r1/guest").mkdir(parents=True)
    return found


@pytest.fixture
def start() -> Iterator[Starts]:
    begun: list[subprocess.Popen[bytes]] = []

    def starts(argv: list[str], **more: Any) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = subprocess.Popen(argv, stdout=subprocess.PIPE, **more)
        begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        return process

    yield starts
    for process in begun:
        process.kill()
        process.communicate()


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def leader(runs: Path, text: str = SLEEPER) -> list[str]:
    """As a guest half of any version looks from outside."""
    program = runs.parent / "guest-0a1b2c3d4e5f.pyz"
    program.write_text(text)
    return [sys.executable, str(program), "run", "--plan", "p", "--out", str(runs / "r1/guest"), "--artifacts", "a"]


def child_env(runs: Path) -> dict[str, str]:
    """As an older lab's children had it."""
    work = str(runs / "r1/guest/work/1-baseline.1")
    return {"PATH": os.environ["PATH"], "HOME": work, "TMPDIR": work}


def gone(pid: int) -> bool:
    ends = time.monotonic() + 5
    while start_ticks(pid) is not None and time.monotonic() < ends:
        time.sleep(0.01)
    return start_ticks(pid) is None


@pytest.mark.parametrize("how", ["as it is", "stopped", "deaf", "folder removed", "runtime removed"])
def test_leader_and_children_are_ended(runs: Path, start: Starts, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "REST_S", 2.0)
    first = start(leader(runs, DEAF if how == "deaf" else SLEEPER))
    other = start(python(SLEEPER), env=child_env(runs))
    if how == "stopped":
        for process in (first, other):
            process.send_signal(signal.SIGSTOP)
    if how == "folder removed":
        shutil.rmtree(runs.parent.parent)
    if how == "runtime removed":
        shutil.rmtree(ending.runtime(), ignore_errors=True)
    assert ending.end(str(runs), grace_s=0.5 if how == "deaf" else 20) == {"ended": 2, "left": []}
    assert first.wait(5) == (-signal.SIGKILL if how == "deaf" else -signal.SIGTERM)
    assert other.wait(5) == -signal.SIGTERM
    assert not Path(ending.runtime()).exists()
    assert ending.end(str(runs)) == {"ended": 0, "left": []}


def test_strangers_are_spared(runs: Path, start: Starts) -> None:
    """Somebody's shell in that folder, whoever names it, and a process that has the number of one of ours."""
    here = start(python(SLEEPER), cwd=runs)
    naming = start([*python(SLEEPER), "run", "--out", str(runs / "r1/guest")])
    reused = start(python(SLEEPER))
    Path(ending.runtime()).mkdir()
    row = {"pid": reused.pid, "ticks": (start_ticks(reused.pid) or 0) + 1, "boot": boot_id(), "runs": str(runs)}
    Path(ending.runtime(), ending.REGISTER).write_text(json.dumps(row) + '\n{"torn')
    assert ending.end(str(runs)) == {"ended": 0, "left": []}
    assert [process.poll() for process in (here, naming, reused)] == [None, None, None]


def test_what_a_registered_child_started_is_ended(runs: Path) -> None:
    """Its parent died with the guest half; the session is known by the register."""
    accounts = Accounts(source="proc", root=None)
    children, work = ChildProcesses(accounts, runs / "r1/guest"), runs / "r1/guest"
    bare = {"PATH": os.environ["PATH"]}
    child = children.spawn("sh", "service", ["sh", "-c", "sleep 60 & echo $!; exec sleep 60"], bare, work)
    while not child.lines():
        time.sleep(0.01)
    other = int(child.lines()[0])
    os.kill(child.pid, signal.SIGKILL)
    child.process.wait()
    assert start_ticks(other) is not None
    assert ending.end_children(str(runs)) == 1
    assert gone(other)


@pytest.mark.skipif(os.geteuid() != 0, reason="control groups are made by root")
def test_who_left_session_parent_and_environment_is_found_by_its_group(runs: Path) -> None:
    """Its own leader, its parent and all of its marks are gone, and so is the folder."""
    script = (
        "import os, pathlib, subprocess, sys\n"
        "from lab.guest.linux import ending\n"
        "from lab.guest.linux.accounts import open_accounts\n"
        "open_accounts(ending.tag(sys.argv[1]), delegated=False, systemd=False)\n"
        "none = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}\n"
        "daemon = subprocess.Popen(['setsid', 'sleep', '60'], env={}, **none)\n"
        "print(daemon.pid, flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(runs)], capture_output=True, text=True, check=True)
    daemon = int(done.stdout)
    assert ending.groups(str(runs)), "no control group can be made here"
    shutil.rmtree(runs.parent.parent)
    assert start_ticks(daemon) is not None
    assert ending.end(str(runs)) == {"ended": 1, "left": []}
    assert gone(daemon)
    assert ending.groups(str(runs)) == []


def test_a_leader_leaves_its_group_behind_empty(runs: Path) -> None:
    tag = ending.tag(str(runs))
    with_groups = subprocess.run(
        [
            *python(
                "import sys\nfrom lab.guest.linux.accounts import open_accounts\n"
                "open_accounts(sys.argv[1], delegated=False, systemd=False).close()\n"
            ),
            tag,
        ],
        check=False,
    )
    assert with_groups.returncode == 0
    assert ending.groups(str(runs)) == []
    assert open_accounts(tag, delegated=False, systemd=False, sources=()).root is None


def test_what_cannot_be_ended_is_named_and_the_lock_is_kept(
    runs: Path, start: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(leader(runs))
    lock = Lock(runs / "r1/guest", "d1")
    monkeypatch.setattr(ending, "_signal", lambda *_: None)
    monkeypatch.setattr(ending, "REST_S", 0.2)
    told = ending.end(str(runs), grace_s=0.2)
    assert told["ended"] == 1
    assert len(told["left"]) == 1
    assert told["left"][0].startswith(f"pid {process.pid} (")
    assert told["left"][0].endswith("still runs")
    assert "guest-0a1b2c3d4e5f.pyz run" in told["left"][0]
    assert Path(ending.runtime(), ending.LOCK).exists()
    lock.close()


def test_pins_of_dead_targets_go_and_others_stay(
    runs: Path, start: Starts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ending, "BPF_FS", str(tmp_path))
    ours, stranger = start(leader(runs)), start(python(SLEEPER))
    for pid in (ours.pid, stranger.pid):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "events").touch()
    told: list[dict[str, object]] = []
    reaped = threading.Thread(target=ours.wait)  # a zombie would keep its number
    reaped.start()
    told.append(ending.end(str(runs)))
    reaped.join()
    assert told == [{"ended": 1, "left": []}]
    assert not (tmp_path / str(ours.pid)).exists()
    assert (tmp_path / str(stranger.pid) / "events").exists()


def test_a_second_run_waits_for_the_first_whatever_was_removed(runs: Path, start: Starts, tmp_path: Path) -> None:
    """Two machines, two homes, one host: a lock in a machine's folder let both measure at once."""
    mine, other = runs / "r1/guest", tmp_path / "home-2/machines/two/guest/runs/r2/guest"
    first = Lock(mine, "d1")
    with pytest.raises(Busy) as busy:
        Lock(other, "d2")
    assert (busy.value.out, busy.value.pid) == (str(mine), os.getpid())
    shutil.rmtree(runs.parent.parent)
    with pytest.raises(Busy):
        Lock(other, "d2")
    first.close()
    assert not Path(ending.runtime()).exists()

    runs.parent.mkdir(parents=True)
    process = start(leader(runs))
    shutil.rmtree(ending.runtime(), ignore_errors=True)
    with pytest.raises(Busy) as busy:
        Lock(other, "d2")
    assert busy.value.pid == process.pid
    process.kill()
    process.wait()
    Lock(other, "d2").close()


def test_who_only_asks_does_not_hold(runs: Path) -> None:
    lock = Lock(runs / "r1/guest", "d1")
    assert holder()["pid"] == os.getpid()
    lock.close()
    assert holder() == {}
    assert not Path(ending.runtime()).exists(), "asking made nothing"


def test_a_fifo_in_the_guest_folder_holds_nothing_up(runs: Path, tmp_path: Path) -> None:
    (runs / "r1/work").mkdir()
    places = ("r1/guest/state.json", "r1/state.json", "r1/work/children.jsonl")
    for path in (*(runs / place for place in places), runs.parent / "mounts.json"):
        os.mkfifo(path)
    argv = [sys.executable, "-I", ending.__file__, str(runs)]
    done = subprocess.run(argv, capture_output=True, timeout=20, check=True)
    assert json.loads(done.stdout) == {"ended": 0, "left": []}
    assert mounts.undo(runs.parent / "mounts.json") == []
    assert read_state(runs / "r1") is None


def test_a_file_of_a_run_is_read_to_a_bound_and_not_through_a_link(runs: Path, tmp_path: Path) -> None:
    row = {"runs": str(runs), "boot": boot_id(), "pid": 1, "ticks": 1}
    work = tmp_path / "stranger/work"
    work.mkdir(parents=True)
    (work / "children.jsonl").write_text(json.dumps(row) + "\n")
    (runs / "linked").symlink_to(tmp_path / "stranger")
    assert ending.registered(str(runs)) == []
    shutil.copytree(tmp_path / "stranger", runs / "r2")
    assert ending.registered(str(runs)) == [row]
    with (runs / "r2/work/children.jsonl").open("ab") as file:
        file.truncate(1 << 40)  # a sparse file of a terabyte
    assert ending.registered(str(runs)) == [row]
