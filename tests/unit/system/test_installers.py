"""What pip and uv get of a person's settings, wherever they are written, and what they do not get."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lab.system import installers

MIRROR = "https://mirror.example/simple"
MORE = "https://more.example/simple"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def uv_toml(tmp_path: Path, **environ: str) -> tuple[dict[str, str], dict[str, Any]]:
    """uv's environment, and the settings' file that it names."""
    given = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "etc"), **environ}
    env = installers.environment("uv", tmp_path / "kept", given)
    path = Path(env["UV_CONFIG_FILE"])
    assert path.stat().st_mode & 0o777 == 0o600
    return env, tomllib.loads(path.read_text())


def test_pip_settings(tmp_path: Path) -> None:
    """What a shell's profile says to pip is meant for the person's own; where packages come from is for ours too."""
    shell = {"PIP_USER": "1", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_TARGET": "/x", "PIP_INDEX_URL": MIRROR}
    profile = {"PYTHONPATH": ".", "VIRTUAL_ENV": "/v", "HTTPS_PROXY": "http://proxy", "HOME": str(tmp_path)}
    write(
        tmp_path / ".config/pip/pip.conf",
        "[global]\nuser = true\nprefix = /y\ntrusted-host = a\n[install]\ncert = /c\n",
    )
    env = installers.environment("pip", tmp_path, shell | profile)
    assert env == {
        "HOME": str(tmp_path),
        "HTTPS_PROXY": "http://proxy",
        "PIP_CERT": "/c",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_INDEX_URL": MIRROR,
        "PIP_NO_INPUT": "1",
        "PIP_TRUSTED_HOST": "a",
    }


def test_uv_gets_what_only_pip_knows(tmp_path: Path) -> None:
    write(
        tmp_path / "etc/pip/pip.conf",
        f"[global]\nindex-url = https://older.example\nextra_index_url =\n    {MORE}\n    b\n",
    )
    write(
        tmp_path / ".pip/pip.conf",
        f"[global]\nindex-url = {MIRROR}\n[install]\ntrusted-host = a b\nproxy = p:8\ncert=/c\n",
    )
    env, said = uv_toml(tmp_path, PIP_FIND_LINKS=f"{tmp_path} /not/there")
    assert said == {
        "index-url": MIRROR,
        "extra-index-url": [MORE, "b"],
        "index-strategy": "unsafe-best-match",
        "find-links": [str(tmp_path)],
        "allow-insecure-host": ["a", "b"],
        "http-proxy": "http://p:8",
        "https-proxy": "http://p:8",
    }
    assert env["SSL_CERT_FILE"] == "/c"


def test_of_a_persons_uv_toml_only_where_packages_come_from_counts(tmp_path: Path) -> None:
    text = f"""
cache-dir = "/stranger"
offline = false
compile-bytecode = true
[pip]
target = "/elsewhere"
index-url = "{MIRROR}"
[[index]]
name = "own"
url = "https://user:p%40ss@own.example/\\"simple"
explicit = false
"""
    write(tmp_path / ".config/uv/uv.toml", text)
    _, said = uv_toml(tmp_path, PIP_INDEX_URL="https://pips.example")
    index = {"name": "own", "url": 'https://user:p%40ss@own.example/"simple', "explicit": False}
    assert said == {"offline": False, "index-url": MIRROR, "index": [index]}
    assert installers.index({"HOME": str(tmp_path)}) == MIRROR


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_uvs_own_index_wins_and_pip_gets_it_where_it_has_none(tmp_path: Path, name: str) -> None:
    write(tmp_path / ".pip/pip.conf", "no section\n")
    own = "https://own.example"
    env, said = uv_toml(tmp_path, **{name: f"named={own}", "PIP_INDEX_URL": MIRROR, "PIP_NO_INDEX": "1"})
    assert env[name] == f"named={own}"
    assert said == {}
    assert installers.index({"HOME": str(tmp_path), name: f"named={own}"}) == own


def test_nothing_else_of_uvs_variables_reaches_it(tmp_path: Path) -> None:
    kept = {"UV_INDEX_OWN_PASSWORD": "secret", "UV_HTTP_TIMEOUT": "9", "UV_INSECURE_HOST": "h"}
    dropped = (
        "UV_NO_VERIFY_HASHES",
        "UV_TARGET",
        "UV_WORKING_DIRECTORY",
        "UV_CONSTRAINT",
        "UV_PYTHON",
        "UV_SYSTEM_PYTHON",
    )
    env, _ = uv_toml(tmp_path, **kept, **dict.fromkeys(dropped, "1"), UV_CACHE_DIR="relative")
    assert {name for name in env if name.startswith("UV_")} == {
        *kept,
        *("UV_CACHE_DIR", "UV_LINK_MODE", "UV_PYTHON_INSTALL_DIR", "UV_CONFIG_FILE"),
    }
    assert env["UV_CACHE_DIR"] == str(tmp_path / "kept/packages")


def test_a_persons_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / ".config/uv/uv.toml", "index-url = [\n")
    with pytest.raises(ValueError, match=str(path)):
        uv_toml(tmp_path)
    assert uv_toml(tmp_path, UV_NO_CONFIG="1")[1] == {}


def test_a_file_beside_the_caller_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv-toml-code-execution: neither a relative name nor the current folder leads to a stranger's settings."""
    for name in ("uv.toml", "pip.conf", ".config/uv/uv.toml", ".config/pip/pip.conf", "uv/uv.toml", "pip/pip.conf"):
        write(tmp_path / "stranger" / name, 'index-url = "https://stranger.example"\n')
    monkeypatch.chdir(tmp_path / "stranger")
    for environ in (
        {"UV_CONFIG_FILE": "uv.toml", "PIP_CONFIG_FILE": "pip.conf"},
        {"HOME": ".", "XDG_CONFIG_HOME": "."},
    ):
        _, said = uv_toml(tmp_path / "home", **environ)
        assert said == {}
        assert installers.index({"HOME": str(tmp_path / "home"), **environ}) == ""


def oldest() -> str:
    """A Python of before tomllib, where this host has one."""
    found = [path for path in sorted(Path.home().glob(".pyenv/versions/3.[89].*/bin/python")) if path.is_file()]
    return str(found[0]) if found else sys.executable


def test_it_runs_in_any_python_and_without_lab(tmp_path: Path) -> None:
    argv = [oldest(), "-I", installers.__file__, "index", str(tmp_path)]
    env = {"HOME": str(tmp_path), "PIP_INDEX_URL": MIRROR}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == f"{MIRROR}\n"
    assert done.stderr == ""


def test_the_lines_for_cmd_set_and_unset(tmp_path: Path) -> None:
    argv = [sys.executable, "-I", installers.__file__, "set", str(tmp_path), "pip"]
    env = {"HOME": str(tmp_path), "PIP_USER": "1", "PYTHONPATH": "x", "PIP_PROXY": "p"}
    said = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"PIP_USER=", "PYTHONPATH=", "PIP_PROXY=p", f"PIP_CONFIG_FILE={os.devnull}"} <= set(said)


def test_labw_for_windows_starts_each_python_alone(repo: Path) -> None:
    """Only Wine could run it: what may not change is read from its text."""
    lines = (repo / "labw.cmd").read_text().splitlines()
    assert 'set "NoDefaultCurrentDirectoryInExePath=1"' in lines[:10]
    before = lines[: lines.index(":run")]
    assert [line for line in before if "%PY% " in line and "%PY% -I " not in line] == []
    assert sum("%READ%" in line for line in before) == 2
    assert lines.index('pushd "%KEPT%"') < min(i for i, line in enumerate(before) if "%PY% -I -m pip" in line)
