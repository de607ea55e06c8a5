"""A home, a folder of it or a config that cannot be: named with its option, whatever is in its place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support import run_lab
from tests.unit.cli.conftest import Cli


def test_a_home_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for home in ("~no-such-user-here/x", str(tmp_path / "loop")):
        ran = run_lab("status", "--home", home, home=tmp_path)
        assert ran.code == 2, ran.stderr
        assert f"--home {home}: " in ran.stderr
        assert "fix:" in ran.stderr


def test_a_config_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").mkdir()
    ran = run_lab("status", home=tmp_path)
    assert ran.code == 3
    assert "config.yaml cannot be read: it is a folder, not a regular file" in ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="HOME and XDG_* are POSIX's")
@pytest.mark.parametrize("name", ["HOME", "TMPDIR", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"])
def test_a_relative_folder_of_a_variable_is_ignored_and_named(tmp_path: Path, name: str) -> None:
    """As the XDG rules have it: it would be another folder in every working folder."""
    ran = run_lab("paths", home=tmp_path, cwd=tmp_path, env={"LAB_HOME": "", name: "here"})
    assert ran.code == 0, ran.stderr
    assert ran.stderr == f"warning: {name}=here is ignored: it is not an absolute path\n"
    home = Path(ran.stdout.splitlines()[0].removeprefix("home: "))
    assert home.is_absolute()
    assert "here" not in home.parts
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="HOME is POSIX's")
def test_an_empty_home_is_none(tmp_path: Path) -> None:
    unset = run_lab("paths", home=tmp_path, under=("env", "-u", "HOME"), env={"LAB_HOME": ""})
    empty = run_lab("paths", home=tmp_path, env={"LAB_HOME": "", "HOME": "", "XDG_DATA_HOME": ""})
    assert (empty.code, empty.stderr) == (0, "")
    assert empty.stdout == unset.stdout
    assert "home: /.local" not in empty.stdout


def test_a_relative_lab_home_counts_from_the_working_folder(tmp_path: Path) -> None:
    ran = run_lab("paths", home=Path("own"), cwd=tmp_path)
    assert ran.stdout.splitlines()[0] == f"home: {tmp_path / 'own'}"


@pytest.mark.parametrize("below", ["", "a/b"])
@pytest.mark.parametrize("verb", ["runs", "status", "down", "report", "fetch", "logs", "cache", "up --plan", "restore"])
def test_a_home_that_is_a_file_is_named(lab_cli: Cli, tmp_path: Path, verb: str, below: str) -> None:
    (tmp_path / "file").write_text("dear")
    ran = lab_cli(*verb.split(), "--home", str(tmp_path / "file" / below))
    assert ran.code == 4, ran.stderr
    assert f"{tmp_path / 'file'} is not a folder" in ran.stderr
    assert (tmp_path / "file").read_text() == "dear"


@pytest.mark.skipif(os.name == "nt", reason="links")
@pytest.mark.parametrize("name", ["runs", "machines", "cache", "locks"])
@pytest.mark.parametrize("kind", ["file", "link", "fifo"])
def test_what_is_in_the_place_of_a_folder_is_not_taken_for_an_empty_one(lab_cli: Cli, name: str, kind: str) -> None:
    path = put(lab_cli.home / name, kind)
    for verb in ("runs", "report", "fetch", "logs", "status", "down", "cache", "up --plan", "inventory", "exec x"):
        ran = lab_cli(*verb.split())
        assert ran.code == 4, f"{verb}: {ran.stdout} {ran.stderr}"
        assert str(path) in ran.stderr
        assert f"fix:   remove {path}" in ran.stderr
        assert ran.stdout == ""


@pytest.mark.skipif(os.name == "nt", reason="links")
@pytest.mark.parametrize("kind", ["file", "link"])
def test_logs_that_are_no_folder_are_named_by_logs_alone(lab_cli: Cli, kind: str) -> None:
    """Every other command goes on without its log."""
    path = put(lab_cli.home / "logs", kind)
    ran = lab_cli("logs")
    assert (ran.code, ran.stdout) == (4, "")
    assert f"fix:   remove {path}" in ran.stderr
    assert lab_cli("runs").code == 0


def put(path: Path, kind: str) -> Path:
    """Something that is no folder in the place of one."""
    path.parent.mkdir(mode=0o700)
    if kind == "link":
        path.symlink_to("/none/there")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_text("dear")
    return path
