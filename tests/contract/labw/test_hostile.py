"""labw from a stranger's folder, on a stranger's host: nothing of the folder runs, and what cannot work is named.

Cases: home-noexec, home-not-writable, pip-settings.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.labw.checkout import Checkout

pytestmark = pytest.mark.contract
ROOT = sys.platform == "linux" and os.geteuid() == 0


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A folder of which every program that could be asked for, and every module of Python, leaves a mark."""
    folder = tmp_path / "stranger"
    (folder / "below").mkdir(parents=True)
    mark = folder.parent / "PWNED"
    for place in (folder, folder / "below"):
        for name in (
            "python3",
            "python",
            "python3.13",
            "uv",
            "pip",
            "sed",
            "env",
            "dirname",
            "readlink",
            "mktemp",
            "curl",
        ):
            (place / name).write_text(f"#!/bin/sh\necho {name} >>{mark}\nexit 1\n")
            (place / name).chmod(0o755)
        for name in ("pip", "venv", "ssl", "sysconfig", "sitecustomize", "usercustomize", "lab", "typer", "tomllib"):
            (place / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write({name!r})\n")
        settings = f'cache-dir = "{folder}/.c"\n[pip]\ntarget = "STOLEN"\nindex-url = "http://127.0.0.1:9/stranger"\n'
        (place / "uv.toml").write_text(settings)
        (place / ".env").write_text("UV_INDEX_URL=http://127.0.0.1:9/stranger\n")
        (place / "pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9/stranger\n")
        (place / ".python-version").write_text("../../../stranger\n")
        (place / "pyproject.toml").write_text('[tool.uv]\nindex-url = "http://127.0.0.1:9/stranger"\n')
    return folder


def pwned(stranger: Path) -> str:
    mark = stranger.parent / "PWNED"
    return mark.read_text() if mark.exists() else ""


def poisoned(cache: Path, checkout: Checkout) -> None:
    """A cache of uv's with the pinned wheel unpacked in it, and a line of the stranger's in the wheel."""
    uv = next(path for path in checkout.kept.glob("uv-*") if path.is_file())
    env = {**checkout.env(), "UV_CACHE_DIR": str(cache), "UV_NO_CONFIG": "1"}
    lock = checkout.root / "requirements/run.txt"
    argv = [uv, "pip", "install", "--require-hashes", "--target", cache.parent / "out", "--python", sys.executable]
    subprocess.run([*map(str, argv), "-r", str(lock)], env=env, check=True, capture_output=True, cwd="/")
    module = next(cache.glob("archive-v0/**/typing_extensions.py"))
    text = module.read_text()
    module.unlink()  # it may be linked elsewhere
    module.write_text(f"open({str(cache.parent.parent / 'PWNED')!r}, 'a').write('cache')\n{text}")


@pytest.mark.parametrize("below", ["", "below"])
def test_uv_toml_code_execution(checkout: Checkout, stranger: Path, below: str) -> None:
    poisoned(stranger / ".c", checkout)
    main = checkout.root / "lab/cli/__init__.py"
    main.write_text(f"import typing_extensions\n{main.read_text()}")
    ended = checkout.run("x", cwd=stranger / below, UV_CACHE_DIR="")
    assert (ended.returncode, ended.stdout) == (0, "lab got ['x']\n"), ended.stderr
    assert pwned(stranger) == ""
    assert not list(stranger.rglob("STOLEN"))


@pytest.mark.parametrize("first", [".:", ":below:"])
def test_no_program_of_the_current_folder_runs(fresh: Checkout, stranger: Path, first: str) -> None:
    """Not as a program, not as a module, not while uv is fetched, and not by a variable that leads there."""
    variables = {
        "PYTHONPATH": ".",
        "PYTHONSTARTUP": "lab.py",
        "PYTHONINSPECT": "1",
        "PYTHONHOME": ".",
        "CDPATH": ".:..",
    }
    more = {"PYTHONUSERBASE": ".", "PYTHONWARNINGS": "error", "IFS": "/", "ENV": "./env", "BASH_ENV": "./env"}
    path = first + os.environ["PATH"]
    ended = fresh.run("x", cwd=stranger, PATH=path, **variables, **more)
    assert (ended.returncode, ended.stdout) == (0, "lab got ['x']\n"), ended.stderr
    assert pwned(stranger) == ""
    again = fresh.run("x", cwd=stranger, PATH=path, **variables, **more)
    assert (again.returncode, again.stdout, again.stderr) == (0, "lab got ['x']\n", "")
    assert pwned(stranger) == ""


def test_pip_settings(fresh: Checkout, tmp_path: Path) -> None:
    """What a profile says to pip is not for ours, as a variable or in pip.conf."""
    (tmp_path / "pip.conf").write_text("[global]\nuser = true\nrequire-virtualenv = true\nno-binary = :all:\n")
    variables = {"PIP_USER": "1", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_PREFIX": "/nowhere", "PIP_CONSTRAINT": "/nowhere"}
    uvs = {"UV_SYSTEM_PYTHON": "1", "UV_CONSTRAINT": "/nowhere", "UV_TARGET": "/nowhere", "UV_NO_BINARY": "1"}
    ended = fresh.run("x", PIP_CONFIG_FILE=str(tmp_path / "pip.conf"), **variables, **uvs)
    assert (ended.returncode, ended.stdout) == (0, "lab got ['x']\n"), ended.stderr


def test_the_index_of_a_persons_uv_toml_is_used(checkout: Checkout, tmp_path: Path) -> None:
    """By pip too: it counts wherever it is written."""
    (tmp_path / "config/uv").mkdir(parents=True)
    (tmp_path / "config/uv/uv.toml").write_text('[[index]]\nurl = "http://127.0.0.1:9/own"\ndefault = true\n')
    settings = {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "UV_CACHE_DIR": str(tmp_path / "empty"),
        "UV_HTTP_RETRIES": "0",
    }
    ended = checkout.run("x", **settings)
    assert ended.returncode == 75, ended.stdout
    assert "127.0.0.1:9/own" in ended.stderr
    next(path for path in checkout.kept.glob("uv-*")).unlink()
    ended = checkout.run("x", **settings, PIP_RETRIES="0")
    assert ended.returncode == 75, ended.stdout
    assert "127.0.0.1" in ended.stderr


@pytest.mark.parametrize("home", ["/proc", ""])
def test_home_not_writable(checkout: Checkout, home: str) -> None:
    """Where LAB_HOME is given, HOME need not be of any use."""
    ended = checkout.run("x", HOME=home, UV_CACHE_DIR="")
    assert (ended.returncode, ended.stdout) == (0, "lab got ['x']\n"), ended.stderr


@pytest.mark.parametrize(("home", "why"), [("/proc", ""), ("/dev/null", ", since /dev/null is not a folder")])
def test_a_home_of_no_use_is_the_first_thing_told(checkout: Checkout, home: str, why: str) -> None:
    ended = checkout.run("x", HOME=home, LAB_HOME="")
    assert ended.returncode == 4
    assert ended.stderr.startswith(f"labw: error: cannot write to {home}/.cache/lab/labw\n  fix: LAB_HOME=")
    assert ended.stderr.endswith(f"{checkout.root / 'labw'}{why}\n")
    assert len(ended.stderr.splitlines()) == 2


@pytest.mark.skipif(not ROOT, reason="mounting needs root")
def test_home_noexec(fresh: Checkout) -> None:
    fresh.home.mkdir()
    script = 'mount -t tmpfs -o noexec none "$1" && shift && exec "$@"'
    argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", str(fresh.home)]
    done = subprocess.run(
        [*argv, str(fresh.root / "labw"), "x"], env=fresh.env(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        f"labw: error: programs cannot run from {fresh.kept} (mounted noexec)",
        f"  fix: LAB_HOME=/a/directory/elsewhere {fresh.root / 'labw'}",
    ]


@pytest.mark.skipif(not ROOT, reason="only root can make a folder of somebody else's")
def test_a_folder_that_another_user_made_is_not_trusted(checkout: Checkout) -> None:
    assert checkout.run("x").returncode == 0
    os.chown(checkout.kept, 65534, 65534)
    ended = checkout.run("x")
    assert ended.returncode == 4
    assert ended.stderr.startswith(f"labw: error: {checkout.kept} belongs to another user\n  fix: LAB_HOME=")
    assert checkout.run("x", SUDO_UID="65534").returncode == 0


@pytest.mark.parametrize("umask", [0o000])
def test_umask_modes(checkout: Checkout, umask: int) -> None:
    """Every folder 0700, every file 0600 or 0700: also what uv writes, and what an older labw left."""
    left = checkout.kept / "ready.run.older"
    left.write_text("/nowhere\n")
    left.chmod(0o666)
    before = os.umask(umask)
    try:
        assert checkout.run("x", UV_CACHE_DIR="").returncode == 0
        assert checkout.run("x", UV_CACHE_DIR="").returncode == 0
    finally:
        os.umask(before)
    found = subprocess.run(
        ["find", checkout.home, "!", "-type", "l", "-perm", "/077"], capture_output=True, text=True, check=True
    )
    assert found.stdout == ""
    assert len(list(checkout.kept.rglob("*"))) > 30


def test_a_link_to_labw_is_followed(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/first").symlink_to(checkout.root / "labw")
    (tmp_path / "bin/lab").symlink_to("first")
    for argv, cwd in (
        ([str(tmp_path / "bin/lab")], "/"),
        (["./lab"], tmp_path / "bin"),
        (["sh", "lab"], tmp_path / "bin"),
    ):
        done = subprocess.run([*argv, "x"], env=checkout.env(), cwd=cwd, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "lab got ['x']\n"), done.stderr


def test_a_working_folder_that_is_gone_is_no_failure(checkout: Checkout, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'cd {gone} && rmdir {gone} && exec "$0" x'
    argv = ["sh", "-c", script, str(checkout.root / "labw")]
    done = subprocess.run(argv, env=checkout.env(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "lab got ['x']\n"), done.stderr


def test_every_shell_of_posix_reads_it(repo: Path) -> None:
    shells = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
    for shell in shells:
        argv = [shell, *(["sh"] if shell == "busybox" else []), "-n", str(repo / "labw")]
        subprocess.run(argv, check=True)
    assert shells
    assert not re.search(r"\[\[|\blocal |<<<", (repo / "labw").read_text())
