"""The stand-in for limactl on PATH, with a Lima home of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def own_limactl(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put it first on PATH; the file where it writes down each verb it was asked for."""
    programs = folder / "lima-bin"
    programs.mkdir(parents=True, exist_ok=True)
    program = programs / "limactl"
    fake = ROOT / "tests/fakes/limactl.py"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} {fake} "$@"\n')
    program.chmod(0o755)
    (folder / "lima").mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LIMA_HOME", str(folder / "lima"))
    monkeypatch.delenv("FAKE_LIMA", raising=False)
    return folder / "limactl.calls"
