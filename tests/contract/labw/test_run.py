"""labw as people run it: from a copy of the checkout, with a home of its own, against this machine's package index."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.contract.labw.checkout import Checkout

pytestmark = pytest.mark.contract


def broken_python(folder: Path, name: str, script: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_first_run_from_nothing(fresh: Checkout) -> None:
    ended = fresh.run("demo", "--form", "a b")
    assert (ended.returncode, ended.stdout) == (0, "lab got ['demo', '--form', 'a b']\n"), ended.stderr
    assert ended.stderr.startswith("labw: fetching uv")
    assert fresh.kept.stat().st_mode & 0o777 == 0o700
    assert len(fresh.environments()) == 1
    assert list(fresh.kept.glob("tmp.*")) == []
    again = fresh.run("fail")
    assert (again.returncode, again.stdout, again.stderr) == (7, "lab got ['fail']\n", "")


def test_next_to_nothing_when_nothing_changed(checkout: Checkout) -> None:
    """At most 0.1 s over `lab` itself: the best of several, since this machine is shared."""
    assert checkout.run("x").returncode == 0
    env = checkout.environments()[0]

    def best(*argv: str) -> float:
        times = []
        for _ in range(7):
            started = time.monotonic()
            subprocess.run(argv, env=checkout.env(), check=True, capture_output=True)
            times.append(time.monotonic() - started)
        return min(times)

    over = best(str(checkout.root / "labw"), "x") - best(str(env / "bin/python"), "-P", str(env / "bin/lab"), "x")
    print(f"labw adds {over * 1000:.0f} ms")
    assert over <= 0.1


def test_a_changed_lock_makes_another_environment(checkout: Checkout) -> None:
    assert checkout.run("x").returncode == 0
    with (checkout.root / "requirements/run.txt").open("a") as lock:
        lock.write("# touched\n")
    ended = checkout.run("x")
    assert ended.returncode == 0
    assert "installing requirements/run.txt" in ended.stderr
    assert len(checkout.environments()) == 2


def test_the_newest_python_that_runs_is_taken(checkout: Checkout, tmp_path: Path) -> None:
    """Shims that refuse, stubs that answer wrongly and interpreters without ssl are passed over."""
    broken_python(tmp_path / "bin", "python3.14", "exit 127")
    broken_python(tmp_path / "bin", "python3.13", "echo /nowhere/python3.13; exit 1")
    log = tmp_path / "asked"
    broken_python(tmp_path / "bin", "python3.12", f'echo "$@" >>{log}; echo "ImportError: ssl" >&2; exit 1')
    ended = checkout.run("x", PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert ended.returncode == 0, ended.stderr
    said = subprocess.run(
        [checkout.environments()[0] / "bin/python", "-c", "import sys; print(*sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert tuple(map(int, said.stdout.split())) >= (3, 11)
    assert str(tmp_path / "bin") not in ended.stderr


def test_lab_python_chooses_and_a_vanished_python_is_replaced(checkout: Checkout, tmp_path: Path) -> None:
    base = Path(sys.executable).resolve()
    chosen = tmp_path / "python"
    chosen.symlink_to(base)
    assert checkout.run("x", LAB_PYTHON=str(chosen)).returncode == 0
    env = checkout.environments()[0]
    python = env / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")  # as after an upgrade of the system's Python
    ended = checkout.run("x", LAB_PYTHON=str(chosen))
    assert (ended.returncode, ended.stdout) == (0, "lab got ['x']\n"), ended.stderr
    assert len(checkout.environments()) == 2
    assert checkout.run("x", LAB_PYTHON=str(chosen)).stderr == ""


def test_two_at_once_share_one_environment(checkout: Checkout) -> None:
    children = [checkout.start("x") for _ in range(3)]
    ends = [(*child.communicate(timeout=120), child.returncode) for child in children]
    assert [(out, code) for out, _, code in ends] == [("lab got ['x']\n", 0)] * 3, ends
    assert len(checkout.environments()) == 1


@pytest.mark.parametrize("after_s", [0.05, 0.15, 0.3, 0.5, 0.8])
def test_killed_anywhere_the_same_command_works(checkout: Checkout, after_s: float) -> None:
    with checkout.start("x") as child:
        time.sleep(after_s)
        os.killpg(child.pid, signal.SIGKILL)
    ended = checkout.run("x")
    assert (ended.returncode, ended.stdout) == (0, "lab got ['x']\n"), ended.stderr
    assert checkout.run("x").stderr == ""


def test_what_a_kill_left_is_swept_an_hour_later(checkout: Checkout) -> None:
    assert checkout.run("x").returncode == 0
    published = checkout.environments()
    for name in ("env.run.killed", "tmp.killed"):
        (checkout.kept / name).mkdir()
    hour_ago = time.time() - 3700
    for path in checkout.kept.iterdir():
        os.utime(path, (hour_ago, hour_ago))
    (checkout.kept / "env.run.busy").mkdir()
    with (checkout.root / "requirements/run.txt").open("a") as lock:
        lock.write("# touched\n")
    assert checkout.run("x").returncode == 0
    left = set(checkout.environments())
    assert {*published, checkout.kept / "env.run.busy"} < left
    assert len(left) == 3
    assert not (checkout.kept / "tmp.killed").exists()


def test_an_unwritable_home_is_one_message(fresh: Checkout) -> None:
    fresh.home.write_text("a file")
    ended = fresh.run("x")
    assert ended.returncode == 4
    assert ended.stderr.startswith(f"labw: error: cannot write to {fresh.kept}\n  fix: LAB_HOME=")
    assert len(ended.stderr.splitlines()) == 2
