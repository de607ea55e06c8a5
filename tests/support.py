"""What several tests share: the home whose caches live through a test run, and a way to run `lab` for real."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.model.config import Config
from lab.model.events import Bus
from lab.model.lab import Lab
from lab.model.paths import Paths

ROOT = Path(__file__).resolve().parent.parent


def test_home() -> Path:
    """LAB_HOME of the slow tiers: images and artifacts are made once for all of them."""
    return Path(os.environ.get("LAB_TEST_HOME") or ROOT / ".test-home").absolute()


test_home.__test__ = False  # type: ignore[attr-defined]  # a path, not a test


def lab_at(home: Path, config: Config | None = None) -> Lab:
    """A `Lab` that tells nobody."""
    return Lab(config=config or Config(), paths=Paths(home=home), bus=Bus(), cancel=threading.Event())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


def run_lab(
    *argv: str, home: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, limit_s: float = 60
) -> Ran:
    """Run this checkout's `lab` as a process of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LAB_")}
    done = subprocess.run(
        [sys.executable, "-m", "lab", *argv],
        cwd=cwd,
        env={**clean, "LAB_HOME": str(home), "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Ran(code=done.returncode, stdout=done.stdout, stderr=done.stderr)
