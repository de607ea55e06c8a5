"""State is never torn: old or new is there at every instant, through real kills too."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.system import store

WRITER = """
import sys
from pathlib import Path
from lab.system import store
path = Path(sys.argv[1])
n = 0
while True:
    n += 1
    store.write_state(path, {"n": n, "pad": "x" * 200000}, schema=1)
    print(n, flush=True)
"""


def test_thirty_kills_in_a_write_loop_leave_no_torn_file(tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    for _ in range(30):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.003)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        doc = json.loads(path.read_bytes())
        assert len(doc["pad"]) == 200000


def test_the_generation_before_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    for number in (1, 2):
        store.write_state(path, {"n": number}, schema=1)
    assert json.loads(store.previous(path).read_bytes()) == {"schema": 1, "n": 1}


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "s.json"
    store.write_json(path, {"a": 1})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    store.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        store.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]


def test_a_moment_in_which_windows_refuses_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Exception | str] = [PermissionError(13, "in use"), PermissionError(13, "in use"), "done"]

    def act() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(PermissionError):
        store.retry_while_open(act)  # elsewhere a refusal is one
    monkeypatch.setattr(store, "PATIENT", True)
    assert store.retry_while_open(act) == "done"
    monkeypatch.setattr(store, "PATIENCE_S", 0.05)
    answers += [PermissionError(13, "in use")] * 100
    with pytest.raises(PermissionError):
        store.retry_while_open(act)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
@pytest.mark.parametrize("what", ["a pipe", "a device", "huge"])
def test_a_state_that_is_no_document_is_replaced_and_not_kept(tmp_path: Path, what: str) -> None:
    path = tmp_path / "machine.json"
    if what == "a pipe":
        os.mkfifo(path)
    elif what == "a device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(20 << 30)
    store.write_state(path, {"n": 1}, schema=1)
    assert json.loads(path.read_text()) == {"schema": 1, "n": 1}
    assert not store.previous(path).exists()
