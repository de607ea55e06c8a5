"""What CI runs, with a `labw` that only says what it was asked: steps, times, closing line, exit code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

LABW = """#!/bin/sh
echo "labw $*" >>asked
case $1 in
    doctor) exit {doctor} ;;
    test) echo "= {closing} ="; exit {tests} ;;
esac
"""


def run(checkout: Path, *argv: str) -> tuple[int, list[str], list[str]]:
    """Exit code, lines said, what `labw` was asked."""
    tools = checkout / "tools"
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        [checkout / ".ci" / "run", *argv],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout.splitlines(), (checkout / "asked").read_text().splitlines()


def checkout(at: Path, repo: Path, *, doctor: int = 0, tests: int = 0, closing: str = "2 passed in 0.1s") -> Path:
    """A checkout with the real .ci/run; nothing can be installed from it."""
    (at / ".ci").mkdir()
    shutil.copy(repo / ".ci" / "run", at / ".ci" / "run")
    programs = {"labw": LABW.format(doctor=doctor, tests=tests, closing=closing)}
    programs |= {f"tools/{name}": "#!/bin/sh\nexit 0\n" for name in ("apt-get", "sudo", "chromium")}
    for name, text in programs.items():
        (at / name).parent.mkdir(exist_ok=True)
        (at / name).write_text(text)
        (at / name).chmod(0o755)
    return at


def test_every_step_with_its_time_and_the_closing_line_last(tmp_path: Path, repo: Path) -> None:
    code, said, asked = run(checkout(tmp_path, repo), "--tier", "unit")
    assert code == 0
    assert asked == ["labw --version", "labw doctor --install --yes", "labw test --tier unit"]
    for step in ("environment", "doctor", "tests"):
        assert any(re.fullmatch(rf"== {step}: \d+ s, exit 0", line) for line in said), step
    assert re.fullmatch(r"== in all: \d+ s", said[-2])
    assert said[-1] == "= 2 passed in 0.1s ="


@pytest.mark.parametrize(("tests", "closing"), [(1, "1 failed, 2 passed in 0.1s"), (4, "usage: nothing was run")])
def test_failed_tests_fail_it_with_pytests_code(tmp_path: Path, repo: Path, tests: int, closing: str) -> None:
    code, said, _ = run(checkout(tmp_path, repo, tests=tests, closing=closing))
    assert code == tests
    assert said[-1] == (f"= {closing} =" if "failed" in closing else "no test ran")


@pytest.mark.parametrize(("doctor", "goes_on"), [(4, True), (75, False)])
def test_a_host_that_lacks_something_goes_on_and_a_broken_doctor_does_not(
    tmp_path: Path, repo: Path, doctor: int, goes_on: bool
) -> None:
    code, _, asked = run(checkout(tmp_path, repo, doctor=doctor))
    assert (code == 0) == goes_on
    assert ("labw test" in [line.strip() for line in asked]) == goes_on
