"""A built wheel, installed elsewhere, is all that `lab` needs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.contract


def said(*argv: str | Path, cwd: Path) -> str:
    """Standard output of a command that must succeed, away from the checkout and its settings."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "LAB_"))}
    ended = subprocess.run([*map(str, argv)], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(repo: Path) -> Iterator[Path]:
    """The wheel of this checkout, built with the locked build backend, offline."""
    with tempfile.TemporaryDirectory() as folder:
        said(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=repo)
        yield next(Path(folder).glob("invisible_lab-*.whl"))


def test_it_carries_what_lab_reads_and_nothing_of_the_workshop(wheel: Path, repo: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for shipped in ("demo/service", "demo/forms", "demo/scenarios", "playbooks", "vagrant"):
        there = {path.relative_to(repo).as_posix() for path in (repo / shipped).rglob("*") if path.is_file()}
        tracked = subprocess.run(["git", "ls-files", shipped], cwd=repo, capture_output=True, text=True, check=True)
        kept = there & set(tracked.stdout.split("\n"))
        assert kept, f"{shipped} is empty"
        assert {f"lab/_data/{name}" for name in kept} <= names
    assert [name for name in names if name.startswith(("tests/", "requirements/")) or "__pycache__" in name] == []


def test_installed_elsewhere_it_runs_and_finds_its_files(wheel: Path, repo: Path, tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    said(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env", cwd=tmp_path)
    # The dependencies come from this environment, which the lock made; the wheel alone is installed.
    home = Path(said(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    zipfile.ZipFile(wheel).extractall(home)
    ours = said(sys.executable, "-c", "import yaml; print(yaml.__path__[0])", cwd=tmp_path).strip()
    for entry in Path(ours).parent.iterdir():
        if entry.suffix != ".pth" and not (home / entry.name).exists():
            (home / entry.name).symlink_to(entry)
    script = "import sys; from lab.system import resources; print(resources.root())"
    assert said(python, "-c", script, cwd=tmp_path).split() == [str(home / "lab" / "_data")]
    assert "demo" in said(python, "-m", "lab", "--help", cwd=tmp_path)
    entry_points = next(home.glob("invisible_lab-*.dist-info/entry_points.txt")).read_text()
    assert "lab = lab.cli:main" in entry_points
    assert repo.as_posix() not in said(python, "-c", "import lab; print(lab.__file__)", cwd=tmp_path)
