"""Locks against a second real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.model.errors import Locked, PreconditionError
from lab.system import locks
from lab.system.wait import Deadline

HOLD = """
import sys
from pathlib import Path
from lab.system import locks
from lab.system.wait import Deadline
with locks.hold(Path(sys.argv[1]), what="machine demo", deadline=Deadline.after(0)):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def other_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds `path` until it reads a line or dies."""
    argv = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        try:
            yield child
        finally:
            child.kill()


def test_second_process_is_refused_with_the_holders_name(tmp_path: Path) -> None:
    path = tmp_path / "demo" / "lock"
    with other_process(path) as child:
        with pytest.raises(Locked) as caught, locks.hold(path, what="machine demo", deadline=Deadline.after(0)):
            pytest.fail("two holders at once")
        assert caught.value.exit_code == 8
        assert f"machine demo is in use by pid {child.pid} (" in caught.value.message
        assert ", since 20" in caught.value.message
        assert "--lock-timeout" in caught.value.fix


def test_waits_and_gets_it_when_the_holder_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    waited: list[locks.Holder | None] = []
    with other_process(path) as child:

        def let_go(seen: locks.Holder | None) -> None:
            waited.append(seen)
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()

        with locks.hold(path, what="it", deadline=Deadline.after(20), on_wait=let_go):
            mine = locks.holder(path)
        assert mine is not None
        assert mine.pid == os.getpid()
    assert [seen.pid for seen in waited if seen] == [child.pid]


def test_sigkill_frees_it_at_once_and_its_note_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with other_process(path) as child:
        assert locks.holder(path) is not None
        child.send_signal(signal.SIGKILL)
        child.wait(10)
        assert locks.holder(path) is None
        with locks.hold(path, what="it", deadline=Deadline.after(0)):
            pass


def test_a_reused_pid_is_not_taken_for_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locks.hold(path, what="it", deadline=Deadline.after(0)):
        note = path.with_name("lock.holder")
        note.write_text(note.read_text().replace('"started_s": ', '"started_s": 1'))
        assert locks.holder(path) is None


WRONG_TYPES = '{"pid": "x", "started_s": 1, "command": "", "since": ""}'


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"pid": 1}', WRONG_TYPES])
def test_a_torn_note_is_nobody(tmp_path: Path, torn: str) -> None:
    (tmp_path / "lock.holder").write_text(torn)
    assert locks.holder(tmp_path / "lock") is None


def test_two_holders_in_one_process_exclude_each_other_and_leave_private_files(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "lock"
    with locks.hold(path, what="it", deadline=Deadline.after(0)):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        with pytest.raises(Locked), locks.hold(path, what="it", deadline=Deadline.after(0.2)):
            pytest.fail("two holders at once")
        assert locks.holder(path) is not None, "the one that was refused took the holder's note away"
    assert locks.holder(path) is None


@pytest.mark.skipif(os.name == "nt", reason="needs links without a right of its own")
@pytest.mark.parametrize("odd", ["folder", "link", "parent is a file", "parent is a link"])
def test_what_has_the_place_of_a_lock_is_named(tmp_path: Path, odd: str) -> None:
    path = place = tmp_path / "locks" / "machine-zz"
    if odd.startswith("parent"):
        place = path.parent
    else:
        path.parent.mkdir()
    if odd == "folder":
        place.mkdir()
    elif odd == "parent is a file":
        place.write_text("")
    else:
        place.symlink_to("/none/there")
    with pytest.raises(PreconditionError) as caught, locks.hold(path, what="it", deadline=Deadline.after(0)):
        pytest.fail("held")
    assert str(path) in caught.value.message
    assert caught.value.fix == f"remove {place}"


def test_a_note_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "lock.holder").mkdir()
    with locks.hold(tmp_path / "lock", what="it", deadline=Deadline.after(0)):
        assert locks.holder(tmp_path / "lock") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "lock.holder"]
