"""`lab` in this very process: a command without the third of a second that a process costs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.cli import main
from tests.support import Ran


@dataclass(frozen=True, slots=True, kw_only=True)
class Cli:
    """`lab` with a home of its own (not made yet), called in an empty folder."""

    home: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *argv: str) -> Ran:
        """Run one command; what was said before it is dropped."""
        self.capture.readouterr()
        code = main(argv)
        said = self.capture.readouterr()
        return Ran(code=code, stdout=said.out, stderr=said.err)


@pytest.fixture
def lab_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """`lab` as `Cli`."""
    for name in [name for name in os.environ if name.startswith("LAB_")]:
        monkeypatch.delenv(name)
    home, cwd = tmp_path / "home", tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    monkeypatch.setenv("LAB_HOME", str(home))
    return Cli(home=home, capture=capsys)
