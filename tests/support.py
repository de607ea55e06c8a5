"""What several tests share: the home whose caches live through a test run, and a way to run `lab` for real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from lab.forms.declared import PLAIN
from lab.model.config import Config
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.machine import MachineConfig, default_name
from lab.model.paths import Paths
from lab.system import toolchain
from lab.system.wait import Deadline

ROOT = Path(__file__).resolve().parent.parent
# What is not about counting runs on both CPUs and by time: a machine that counts is slower.
REAL_CLOCK = {"LAB_MACHINE_CLOCK": "real"}


def test_home() -> Path:
    """LAB_HOME of the slow tiers: images and artifacts are made once for all of them."""
    return Path(os.environ.get("LAB_TEST_HOME") or ROOT / ".test-home").absolute()


test_home.__test__ = False  # type: ignore[attr-defined]  # a path, not a test


@contextmanager
def own_home(kind: str) -> Iterator[Path]:
    """A home of its own with the shared cache below it; every machine in it goes down at the end."""
    with tempfile.TemporaryDirectory(prefix=f"lab-{kind}-") as folder:
        home = Path(folder)
        (test_home() / "cache").mkdir(parents=True, exist_ok=True)
        (home / "cache").symlink_to(test_home() / "cache")
        try:
            yield home
        finally:
            run_lab("down", "--all", home=home, limit_s=300)


def lab_at(home: Path, config: Config | None = None) -> Lab:
    """A `Lab` that tells nobody, its machine named as the command line names the default one."""
    named = config or Config(machine=MachineConfig(name=default_name("qemu")))
    return Lab(config=named, paths=Paths(home=home), bus=Bus(), cancel=threading.Event())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


def run_lab(
    *argv: str,
    home: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    limit_s: float = 60,
    under: Sequence[str] = (),
) -> Ran:
    """Run this checkout's `lab` as a process of its own; `under`: a command that runs it."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LAB_")}
    done = subprocess.run(
        [*under, sys.executable, "-m", "lab", *argv],
        cwd=cwd,
        env={**clean, **REAL_CLOCK, "LAB_HOME": str(home), "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Ran(code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def pinned_go() -> toolchain.Toolchain:
    """The Go that forms are built with; fetched into the slow tiers' home where this host has none."""
    return toolchain.find(lab_at(test_home()), PLAIN.toolchain, deadline=Deadline.after(170))


def go_environment(go: toolchain.Toolchain, **values: str) -> dict[str, str]:
    """How forms call it: their module and build caches are shared, so that nothing is fetched or compiled twice."""
    lab = lab_at(test_home())
    path = f"{Path(go.go).parent}{os.pathsep}{os.environ['PATH']}"
    return toolchain.environment(lab, **{"PATH": path, "GOCACHE": go.build_cache(lab), **values})


def python_39() -> str:
    """A Python 3.9 that runs, for the guest half: PATH's or pyenv's. Where there is none CI fails, others skip."""
    import pwd  # these helpers are for tests on Windows too

    pyenv = shutil.which("pyenv")
    roots = [
        *([Path(os.environ["PYENV_ROOT"])] if "PYENV_ROOT" in os.environ else []),
        *([Path(pyenv).resolve().parents[1]] if pyenv else []),
        Path(pwd.getpwuid(os.getuid()).pw_dir) / ".pyenv",  # HOME may be an empty one, in CI
    ]
    installed = [path for root in roots for path in sorted(root.glob("versions/3.9.*/bin/python"))]
    for place in filter(None, [*map(str, installed), shutil.which("python3.9")]):
        argv = [place, "-c", "import sys; print(sys.version_info[:2])"]
        if subprocess.run(argv, capture_output=True, check=False).stdout.strip() == b"(3, 9)":  # a shim may not run
            return place
    return absent("no Python 3.9 here to run the guest half: pyenv install 3.9")


def absent(reason: str) -> NoReturn:
    """A tool that a test needs is not installed: CI fails, so that nothing is left out there unseen; others skip."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
