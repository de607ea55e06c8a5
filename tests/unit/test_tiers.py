"""The tiers of tests/conftest.py, on a small project of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import BUDGET_MIN

TESTS = """
import time
import pytest

@pytest.mark.vm
def test_vm():
    print("ran vm")

@pytest.mark.nightly
def test_nightly():
    print("ran nightly")

def test_plain():
    print("ran plain")
    time.sleep(0.05)

def test_plain_too():
    print("ran plain too")
"""

HANGS = """
import subprocess
import pytest

@pytest.mark.timeout(0.3)
def test_hangs():
    subprocess.run(["sleep", "60"])

def test_after():
    print("ran after")
"""


@pytest.fixture
def project(tmp_path: Path, repo: Path) -> Path:
    (tmp_path / "tests").mkdir()
    shutil.copy(repo / "pyproject.toml", tmp_path)
    shutil.copy(repo / "tests" / "conftest.py", tmp_path / "tests")
    (tmp_path / "tests" / "test_it.py").write_text(TESTS)
    return tmp_path


def pytest_in(project: Path, *argv: str) -> tuple[int, str]:
    """Exit code and output; what ran is in order."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "-p", "pytest_timeout", *argv],
        cwd=project,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # the others cost each process a second
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout


def ran(said: str) -> list[str]:
    return [line.partition("ran ")[2].rstrip(".") for line in said.splitlines() if "ran " in line]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ((), ["plain", "plain too"]),
        (("--tier", "all"), ["plain", "plain too", "vm"]),
        (("--tier=nightly,unit"), ["plain", "plain too", "nightly"]),
        (("--tier=vm", "--tier=unit"), ["plain", "plain too", "vm"]),
        (("tests/test_it.py",), ["plain", "plain too", "vm", "nightly"]),
    ],
)
def test_which_tests_run_and_in_which_order(project: Path, argv: tuple[str, ...] | str, expected: list[str]) -> None:
    code, said = pytest_in(project, *([argv] if isinstance(argv, str) else argv))
    assert code == 0, said
    assert ran(said) == expected
    assert f"{len(expected)} passed" in said.splitlines()[-1]


def test_an_unknown_tier_is_refused(project: Path) -> None:
    code, said = pytest_in(project, "--tier", "fast")
    assert code == 4
    assert "--tier fast: not one of unit, contract, forms, vm, faults, nightly, wine, all" in said


def test_a_tier_past_its_budget_fails_and_says_so(project: Path) -> None:
    conftest = project / "tests" / "conftest.py"
    short, found = re.subn(r'"unit": [\d.]+,', '"unit": 0.0005,', conftest.read_text(), count=1)
    assert found == 1
    conftest.write_text(short)
    code, said = pytest_in(project, "--tier", "all")
    assert code == 1
    assert ran(said) == ["plain", "vm"], "the tier stops, the others go on"
    assert "tier unit has used 0 s of its 0 s" in said
    assert "1 failed, 2 passed" in said.splitlines()[-1] or "1 error" in said.splitlines()[-1]


def test_the_budget_is_printed(project: Path) -> None:
    said = pytest_in(project)[1]
    assert "tier unit: 0." in said
    assert f" s of {BUDGET_MIN['unit'] * 60:.0f} s" in said


def test_warnings_are_errors(project: Path) -> None:
    (project / "tests" / "test_it.py").write_text("import warnings\ndef test_it():\n    warnings.warn('old')\n")
    assert pytest_in(project)[0] == 1


def test_a_test_that_hangs_fails_and_the_others_go_on(project: Path) -> None:
    (project / "tests" / "test_it.py").write_text(HANGS)
    code, said = pytest_in(project)
    assert code == 1
    assert ran(said) == ["after"]
    assert "1 failed, 1 passed" in said.splitlines()[-1]


@pytest.mark.parametrize(("broken", "code"), [(None, 0), ("ran plain", 1), ("ran vm", 1)])
def test_two_lanes_show_what_each_ran_and_fail_together(
    project: Path, repo: Path, broken: str | None, code: int
) -> None:
    for name in ("__init__.py", "__main__.py"):
        shutil.copy(repo / "tests" / name, project / "tests")
    if broken:
        (project / "tests" / "test_it.py").write_text(TESTS.replace(f'print("{broken}")', "raise ValueError"))
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p pytest_timeout"}
    argv = [sys.executable, "-m", "tests"]
    ended = subprocess.run(argv, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stdout
    closing = sorted(re.findall(r"=+ (.*), \d deselected in ", ended.stdout))
    lanes = {None: ["1 passed", "2 passed"], "ran plain": ["1 failed, 1 passed", "1 passed"]}
    assert closing == lanes.get(broken, ["1 failed", "2 passed"]), ended.stdout
