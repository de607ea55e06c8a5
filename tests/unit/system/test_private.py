"""umask-modes: LAB_HOME is this user's alone, whatever the umask is or was."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from lab.model.errors import PreconditionError
from lab.model.paths import Paths
from lab.system import private
from tests.support import run_lab

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")


def left_open(top: Path) -> list[str]:
    """As `find TOP ! -type l -perm /077`."""
    seen = [path for path in [top, *top.rglob("*")] if not path.is_symlink()]
    return [f"{stat.S_IMODE(path.stat().st_mode):o} {path}" for path in seen if path.stat().st_mode & 0o077]


def older(home: Path) -> Path:
    """A home as an older lab left it under umask 000."""
    for name, mode in (
        ("machines/m/guest/run", 0o777),
        ("cache/build/modules", 0o555),
        ("logs", 0o755),
        ("locks", 0o700),
    ):
        (home / name).mkdir(parents=True)
        (home / name / "file").write_text("x")
        (home / name / "file").chmod(0o444 if mode == 0o555 else 0o666)
        (home / name).chmod(mode)
    (home / "cache/artifact").write_text("x")
    (home / "cache/artifact").chmod(0o755)
    (home / "logs/link").symlink_to("/etc/passwd")
    return home


@pytest.mark.parametrize("argv", [("status",), ("runs", "--json")])
def test_what_an_older_lab_left_is_put_right_by_the_first_command(tmp_path: Path, argv: tuple[str, ...]) -> None:
    home = older(tmp_path / "home")
    passwd = Path("/etc/passwd").stat().st_mode
    assert run_lab(*argv, home=home).code == 0
    assert left_open(home) == []
    assert stat.S_IMODE((home / "cache/artifact").stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "cache/build/modules/file").stat().st_mode) == 0o400
    assert Path("/etc/passwd").stat().st_mode == passwd


def test_a_home_in_which_a_show_ran_is_put_right_too(tmp_path: Path) -> None:
    home = older(tmp_path / "home")
    for folder in Paths(home=home).folders:
        (folder / "deeper").mkdir(parents=True, exist_ok=True)
        (folder / "deeper" / "file").write_text("x")
        (folder / "deeper" / "file").chmod(0o644)
    home.chmod(0o755)
    private.ensure(home)
    assert left_open(home) == []


def test_every_folder_of_the_home_is_one_of_its_folders(tmp_path: Path) -> None:
    paths = Paths(home=tmp_path)
    named = {name: getattr(paths, name) for name, one in vars(Paths).items() if isinstance(one, property)}
    below = {place for place in named.values() if isinstance(place, Path) and place.parent == tmp_path}
    assert below == set(paths.folders)
    assert paths.stage("m").parent in below


@pytest.mark.parametrize("name", ["stage", "noise", "saturation", "cache"])
def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(PreconditionError, match=f"{name} is not a folder"):
        private.ensure(tmp_path)


def test_a_folder_that_is_more_than_our_home_keeps_its_mode(tmp_path: Path) -> None:
    home = older(tmp_path / "home")
    (home / "letters").mkdir()
    (home / "letters").chmod(0o755)
    home.chmod(0o755)
    private.ensure(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    assert stat.S_IMODE((home / "letters").stat().st_mode) == 0o755
    assert left_open(home / "machines") == left_open(home / "cache") == left_open(home / "logs") == []


def test_a_tree_that_becomes_a_machines_keeps_its_modes(tmp_path: Path) -> None:
    home = older(tmp_path / "home")
    tree = home / "cache/images/baking-0123/tree/usr"
    tree.mkdir(parents=True)
    tree.chmod(0o755)
    private.ensure(home)
    assert stat.S_IMODE(tree.stat().st_mode) == 0o755


def test_a_sweep_that_was_cut_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = older(tmp_path / "home")
    real, count = private._close, []

    def cut(path: Path) -> None:
        count.append(path)
        if len(count) == 3:
            raise KeyboardInterrupt
        real(path)

    monkeypatch.setattr(private, "_close", cut)
    with pytest.raises(KeyboardInterrupt):
        private.ensure(home)
    monkeypatch.setattr(private, "_close", real)
    private.ensure(home)
    assert left_open(home) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("name", [".", "cache", "machines", "stage"])
def test_a_home_that_another_user_made_is_not_used(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home = older(tmp_path / "home")
    (home / "stage").mkdir()
    os.chown(home / name, 65534, 65534)
    with pytest.raises(PreconditionError, match="belongs to another user"):
        private.ensure(home)
    monkeypatch.setenv("SUDO_UID", "65534")
    private.ensure(home)


def test_what_is_made_is_private_from_the_start(tmp_path: Path) -> None:
    home = tmp_path / "deep/home"
    before = os.umask(0)
    try:
        done = run_lab("up", "m", "--accel", "hvf", "--json", home=home)
    finally:
        os.umask(before)
    assert done.code != 0
    assert home.is_dir()
    assert left_open(home) == []


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting needs root")
def test_home_noexec(tmp_path: Path) -> None:
    """Named before a toolchain is looked for or a build begins."""
    # a /run of its own: the claim of this host would outlive the folder that it names
    script = 'mount -t tmpfs none /run && mount -t tmpfs -o noexec none "$0" && exec "$@"'
    under = ("unshare", "-m", "--propagation", "private", "sh", "-c", script, str(tmp_path))
    done = run_lab(
        "deploy", "--provider", "local", "--form", "baseline", "--plain", home=tmp_path / "home", under=under
    )
    assert done.code == 4
    assert f"programs cannot run from {tmp_path / 'home/cache/build'} (mounted noexec)" in done.stderr
