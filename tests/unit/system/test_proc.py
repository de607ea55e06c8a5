"""Real children: output, deadlines, cancel, and no process left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from lab.model.errors import Cancelled, LabError, PreconditionError, ProvisioningError, TransientError
from lab.system import proc, starting
from lab.system.wait import Deadline, NotYet, until


def test_output_code_and_lines() -> None:
    lines: list[str] = []
    script = "echo out; echo err >&2; exit 3"
    result = proc.run(["sh", "-c", script], deadline=Deadline.after(10), on_line=lines.append)
    assert (result.code, result.stdout, result.stderr) == (3, b"out\n", b"err\n")
    assert sorted(lines) == ["err", "out"]
    assert result.tail() == "err"


def test_big_output_and_stdin() -> None:
    data = bytes(range(256)) * 20_000
    assert proc.run(["cat"], deadline=Deadline.after(30), stdin=data).stdout == data


def test_a_missing_tool_is_told() -> None:
    with pytest.raises(PreconditionError, match="no-such-tool"):
        proc.run(["no-such-tool"], deadline=Deadline.after(1))
    with pytest.raises(PreconditionError, match="no-such-tool"):
        proc.require_tool("no-such-tool")


@pytest.mark.skipif(os.name != "posix", reason="another system, another reason")
def test_what_is_no_program_is_told(tmp_path: Path) -> None:
    """Of a person's own show: none of it is a bug in lab."""
    script, empty = tmp_path / "script", tmp_path / "empty"
    script.write_text("#!/bin/sh\n")
    empty.write_bytes(b"\x7fELF")
    empty.chmod(0o755)
    now = Deadline.after(5)
    for argv, why in (
        ([str(tmp_path)], "permission denied"),
        ([str(script)], "permission denied"),
        ([str(empty)], "exec format error"),
        ([str(script / "x")], "not a directory"),
        (["true", "x" * 10_000_000], "argument list too long"),
    ):
        with pytest.raises(starting.NotStarted, match=f"{argv[0]} does not start: {why}"):
            proc.run(argv, deadline=now)
        with pytest.raises(starting.NotStarted, match=why):
            proc.spawn_detached(argv, log=tmp_path / "log")


def test_the_deadline_ends_the_whole_group(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    script = f"trap '' TERM; sleep 60 & echo $! > {pidfile}; wait"
    with pytest.raises(TransientError, match="timed out"):
        proc.run(["sh", "-c", script], deadline=Deadline.after(0.5))
    assert gone(int(pidfile.read_text()))


def gone(pid: int) -> bool:
    """Whether a process that was killed ends; what nobody waits for stays as a zombie."""
    try:
        until(
            lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE or NotYet(reason="it runs"),
            what=str(pid),
            deadline=Deadline.after(5),
            hint="",
        )
    except psutil.NoSuchProcess:
        return True
    except ProvisioningError:
        return False
    return True


def test_a_tree_is_ended_where_there_are_no_groups(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    child = proc.spawn_detached(["sh", "-c", f"sleep 60 & echo $! > {pidfile}; wait"], log=tmp_path / "log")
    until(
        lambda: (pidfile.exists() and pidfile.read_text()) or NotYet(reason="not started"),
        what="the child",
        deadline=Deadline.after(10),
        hint="",
    )
    proc.end_tree(child)
    assert gone(int(pidfile.read_text()))
    proc.end_tree(child)  # gone already


def test_cancel_ends_a_child_at_once() -> None:
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        proc.run(["sleep", "60"], deadline=Deadline.after(60, cancel))
    assert time.monotonic() - began < 5


def test_check_tells_the_last_words() -> None:
    with pytest.raises(ProvisioningError) as error:
        proc.check(["sh", "-c", "echo why >&2; exit 9"], deadline=Deadline.after(5), error=ProvisioningError, fix="x")
    assert error.value.detail == "why"
    assert "exit code 9" in error.value.message


def test_until_tells_the_last_reason() -> None:
    with pytest.raises(ProvisioningError) as error:
        until(lambda: NotYet(reason="port closed"), what="sshd", deadline=Deadline.after(0.2), hint="lab logs")
    assert error.value.message == "timed out waiting for sshd: port closed"
    assert error.value.fix == "lab logs"


def test_until_gives_what_the_probe_gives() -> None:
    answers: list[int | NotYet] = [NotYet(reason="a"), NotYet(reason="b"), 7]
    assert until(lambda: answers.pop(0), what="x", deadline=Deadline.after(5), hint="", poll_s=0.01) == 7


def test_an_inner_deadline_never_outlasts_the_outer() -> None:
    outer = Deadline.after(0.5)
    assert outer.sooner(60).at_s == outer.at_s
    assert outer.sooner(0.1).at_s < outer.at_s


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such means")
def test_a_bound_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    child = ["sh", "-c", 'echo $$ > "$0.part"; mv "$0.part" "$0"; exec sleep 300', str(told)]
    code = (
        "from lab.system import proc; from lab.system.wait import Deadline;"
        f" proc.run(proc.die_with_parent({child!r}), deadline=Deadline.after(300))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    ends = time.monotonic() + 20
    while not told.exists():
        assert time.monotonic() < ends
        time.sleep(0.02)
    process = psutil.Process(int(told.read_text()))
    parent.kill()
    parent.wait(10)
    psutil.wait_procs([process], timeout=10)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_failure_names_the_tool_and_not_what_binds_it_to_us() -> None:
    argv = proc.die_with_parent(["false"])
    with pytest.raises(LabError, match=r"^false failed with exit code 1$"):
        proc.check(argv, deadline=Deadline.after(10), error=LabError, fix="none")
