"""`lab show --check` ends when it said its word, whatever still hangs."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lab.model.errors import Cancelled
from lab.stage.prepare import looks
from lab.stage.prepare.points import Point
from tests.support import ROOT

# one look takes no notice of its end, one waits in a pool of its own, as what builds forms does
HANGS = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from lab.stage.history import profile
from lab.stage.prepare import host_checks, looks
from lab.stage.prepare.check import check
from lab.stage.show import show_file
from tests.unit.stage.scripted import a_lab

def in_a_pool(lab, *_):
    with ThreadPoolExecutor() as pool:
        pool.submit(lab.cancel.wait, 100).result()

looks.LIMIT_S = 0.5
profile.of = in_a_pool
host_checks.looks = lambda *_: {"disk": lambda: time.sleep(100)}
folder = Path(sys.argv[1])
lab = a_lab(folder)
lab.paths.home.mkdir()
print(check(lab, show_file.load(show_file.find("four-pillars"))).line(), flush=True)
"""


def test_the_process_ends_with_its_verdict(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.startswith("NO-GO: disk: no answer within"), done.stderr


def test_a_look_that_does_not_answer_is_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "LIMIT_S", 0.2)
    end, ended = threading.Event(), threading.Event()

    def hangs() -> list[Point]:
        end.wait(10)
        ended.set()
        return []

    (point,) = looks.at_once({"forms": hangs}, stop=threading.Event(), end=end)["forms"]
    assert (point.verdict, point.text) == ("fail", "forms: no answer within 0 s")
    assert ended.is_set(), "its programs have ended too"


def test_ctrl_c_ends_the_check_at_once() -> None:
    stop, end = threading.Event(), threading.Event()

    def hangs() -> list[Point]:
        end.wait(10)
        return []

    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        looks.at_once({"forms": hangs}, stop=stop, end=end)
    assert time.monotonic() - began < 5
    assert end.is_set()


def test_a_full_disk_is_no_bug_in_lab() -> None:
    def full() -> list[Point]:
        raise OSError(errno.ENOSPC, "No space left on device", "/x")

    (point,) = looks.at_once({"inputs": full}, stop=threading.Event(), end=threading.Event())["inputs"]
    assert (point.verdict, point.text) == ("fail", "/x: No space left on device")
    assert point.fix.startswith("free disk space")
