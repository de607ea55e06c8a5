"""A function called in several processes gives what it gives in one, and leaves none behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lab.system.every_core import every_core
from tests.support import ROOT


def process_of(_: int) -> int:
    time.sleep(0.2)
    return os.getpid()


def refuse_two(value: int) -> int:
    if value == 2:
        raise ValueError("two")
    return -value


def die_in_a_child(value: int) -> int:
    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return -value


def sleep(_: int) -> None:
    time.sleep(60)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def test_the_results_are_in_the_order_of_the_values() -> None:
    assert every_core(abs, [-3, 1, -2]) == [3, 1, 2]
    assert every_core(abs, []) == []


def test_other_processes_do_it() -> None:
    found = every_core(process_of, range(4))
    assert os.getpid() not in found
    assert len(set(found)) == 2


def test_what_the_function_raises_is_raised() -> None:
    with pytest.raises(ValueError, match="two"):
        every_core(refuse_two, [1, 2, 3])


def test_without_its_children_it_does_it_itself() -> None:
    assert every_core(die_in_a_child, [1, 2]) == [-1, -2]


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_parent_that_is_killed_leaves_none_behind() -> None:
    line = (
        "import tests.unit.system.test_every_core as me; me.os.cpu_count = lambda: 2; me.every_core(me.sleep, [1, 2])"
    )
    with subprocess.Popen([sys.executable, "-c", line], cwd=ROOT) as parent:
        process = psutil.Process(parent.pid)
        children: list[psutil.Process] = []
        until = time.monotonic() + 20
        while len(children) < 3 and time.monotonic() < until:  # with multiprocessing's own tracker
            time.sleep(0.1)
            children = process.children(recursive=True)
        time.sleep(1.5)  # until they are at work
        children = process.children(recursive=True)
        assert len(children) >= 2
        parent.kill()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive


@pytest.mark.parametrize("program", ["sys.exit(main())", "if __name__ == '__main__':\n    sys.exit(main())"])
def test_a_program_that_runs_commands_is_not_run_again_by_its_workers(tmp_path: Path, program: str) -> None:
    """As `lab` is started by labw, and by an environment of an older one."""
    (tmp_path / "work.py").write_text("import os\n\ndef work(_):\n    return os.getpid()\n", encoding="utf-8")
    started = "import sys\nfrom lab import cli\nfrom lab.system.every_core import every_core\nimport work, os\n"
    started += "os.cpu_count = lambda: 2\n"
    started += "def run(_):\n    print('begun', len(every_core(work.work, [1, 2, 3])))\n\n"
    started += "cli._run = run\nfrom lab.cli import main\n\n"
    (tmp_path / "lab-started").write_text(started + program + "\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    argv = [sys.executable, str(tmp_path / "lab-started"), "report"]
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "begun 3\n", "")
