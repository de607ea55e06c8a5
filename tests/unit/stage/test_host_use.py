"""What others use of this host's CPU."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lab.stage.beat.host_use import HostUse

BURN = "import time; end = time.time() + 60\nwhile time.time() < end: pass"


def test_a_machine_that_has_no_process_here_tells_nothing(tmp_path: Path) -> None:
    assert HostUse.now(tmp_path / "elsewhere") is None


def test_the_machines_own_use_is_not_that_of_others(tmp_path: Path) -> None:
    """Beside the machine nothing of ours runs: what others use is the same with and without its work, within the
    machine's own share."""
    with subprocess.Popen([sys.executable, "-c", BURN, f"{tmp_path}/disk"]) as machine:
        try:
            time.sleep(0.2)
            before = HostUse.now(tmp_path)
            time.sleep(1.0)
            after = HostUse.now(tmp_path)
        finally:
            machine.kill()
    assert before is not None
    assert after is not None
    used = after.own_s[machine.pid] - before.own_s[machine.pid]
    assert used > 0.1
    others = after.others(before)
    busy = (after.busy_s - before.busy_s) / (after.total_s - before.total_s)
    assert others is not None
    assert others <= busy - used / (after.total_s - before.total_s) + 0.02


def test_a_share_is_between_nothing_and_everything() -> None:
    before = HostUse(total_s=10.0, busy_s=5.0, own_s={1: 1.0})
    assert HostUse(total_s=20.0, busy_s=11.0, own_s={1: 3.0, 2: 1.0}).others(before) == pytest.approx(0.3)
    assert HostUse(total_s=20.0, busy_s=6.0, own_s={1: 9.0}).others(before) == 0.0
    assert before.others(before) is None


def burnt(seconds: float) -> list[str]:
    """A program that uses so much CPU, by a child of its own that it waits for."""
    burn = f"import time\nwhile time.process_time() < {seconds}: pass"
    return [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells what a child's children used")
def test_what_our_children_used_before_they_ended_is_ours_once(tmp_path: Path) -> None:
    """A compiler that came and went between two readings, and one that was there at the first."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", f"{tmp_path}/disk"]) as machine:
        try:
            readings = [HostUse.now(tmp_path)]
            subprocess.run(burnt(0.8), check=True)
            readings.append(HostUse.now(tmp_path))
            with subprocess.Popen([sys.executable, "-c", "import time\nwhile time.process_time() < 1.2: pass"]) as one:
                while sum(psutil.Process(one.pid).cpu_times()[:2]) < 0.7:
                    time.sleep(0.02)
                readings.append(HostUse.now(tmp_path))
                one.wait()
            readings.append(HostUse.now(tmp_path))
        finally:
            machine.kill()
    used = [after.ours(before) for before, after in itertools.pairwise(filter(None, readings))]
    assert used[0] == pytest.approx(0.9, abs=0.25)
    assert used[1] == pytest.approx(0.75, abs=0.25)
    assert used[2] == pytest.approx(0.5, abs=0.25)


def test_a_child_that_ended_is_counted_from_where_it_was() -> None:
    before = HostUse(total_s=10.0, busy_s=5.0, own_s={1: 1.0, 2: 3.0, 9: 8.0}, family=frozenset({1, 2}))
    after = HostUse(total_s=20.0, busy_s=9.0, own_s={1: 5.0}, family=frozenset({1}))
    assert after.ours(before) == 1.0
    assert after.others(before) == pytest.approx(0.3)


def test_our_own_children_are_not_others() -> None:
    mine = HostUse.now(Path(sys.executable).parent)
    assert mine is None or os.getpid() in mine.own_s
