"""What a command loads: a library of a tenth of a second or more only where it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

SLOW = {"ansible", "boto3", "fabric", "invoke", "paramiko", "pydantic"}


def loaded(home: Path, *words: str) -> set[str]:
    env = {**os.environ, "LAB_HOME": str(home)}
    argv = [sys.executable, "-X", "importtime", "-m", "lab", *words]
    ended = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    names = (line.rpartition("|")[2].strip() for line in ended.stderr.splitlines() if line.startswith("import time:"))
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["exec", "--name", "m", "true"], ["--help"]])
def test_no_slow_library_is_loaded_before_it_is_used(tmp_path: Path, words: list[str]) -> None:
    seen = loaded(tmp_path, *words)
    assert "typer" in seen, "the guard must see what is loaded"
    assert not seen & SLOW
