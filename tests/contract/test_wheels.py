"""A pinned wheel by each program that this host has for it: an environment of uv has no pip, others have no uv."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.system import wheels
from lab.system.wait import Deadline
from tests.support import ROOT

pytestmark = pytest.mark.contract
NAME = "mdurl"  # small, and nothing but Python


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    """The lock's own lines of one package."""
    text = (ROOT / "requirements/run.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{NAME}==.*(?:\n    .*)*", text, re.MULTILINE)
    assert found is not None
    path = tmp_path / "pins.txt"
    path.write_text(
        "\n".join(line for line in found[0].splitlines() if "# via" not in line and "    #" not in line) + "\n"
    )
    return path


def fetched(pins: Path, target: Path) -> list[str]:
    said = wheels.install(pins, target, Deadline.after(120))
    assert said.ok, said.tail()
    assert (target / NAME / "__init__.py").is_file()
    return list(said.argv)


def test_an_environment_without_pip_fetches_with_the_uv_beside_it(pins: Path, tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode != 0
    assert Path(fetched(pins, tmp_path / "there")[0]).parent == Path(sys.executable).parent


def test_without_uv_a_pip_of_another_python_does(pins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_pip = tmp_path / "bin"
    subprocess.run([sys.executable, "-m", "venv", str(with_pip)], check=True, capture_output=True)
    monkeypatch.setenv("PATH", f"{with_pip}/bin:/usr/bin:/bin")
    monkeypatch.setattr(wheels, "BESIDE", "not-there")
    assert Path(fetched(pins, tmp_path / "there")[0]).parent == with_pip / "bin"


def test_another_digest_is_refused(pins: Path, tmp_path: Path) -> None:
    pins.write_text(re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, pins.read_text()))
    said = wheels.install(pins, tmp_path / "there", Deadline.after(120))
    assert not said.ok
    assert not (tmp_path / "there" / NAME).exists()
