"""Wheels whose digests are pinned, into a folder, by whatever this host has to fetch them with.

An environment made by uv has no pip, one made by pip has no uv, and each knows an index from its own settings only.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.model.errors import LabError
from lab.system import proc
from lab.system.wait import Deadline

OPTIONS: Final = ("--require-hashes", "--only-binary", ":all:", "--no-deps")
BESIDE: str = "uv.exe" if os.name == "nt" else "uv"  # labw's own
UV_KEYS: Final = {"UV_DEFAULT_INDEX": "index-url", "UV_INDEX": "extra-index-url"}
UV_OLD: Final = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class For:
    """A Linux whose Python the wheels are for. `arch` as `uname -m` says it; every glibc since 2.17 will do."""

    python: tuple[int, int]
    arch: str

    def words(self, *, uv: bool) -> list[str]:
        """What uv or pip is told of it."""
        version = ".".join(map(str, self.python))
        if uv:
            return ["--python-platform", f"{self.arch}-manylinux_2_28", "--python-version", version]
        tags = [f"--platform=manylinux{tag}_{self.arch}" for tag in ("_2_28", "2014", "_2_17")]
        return [*tags, "--python-version", version, "--implementation", "cp"]


def install(pins: Path, target: Path, deadline: Deadline, *, other: For | None = None) -> proc.Result:
    """Install the lock file `pins` into `target`, which is new. The result is that of the last program tried.

    `other`: for a Python that is not this one; pip takes a pin's markers for this one all the same.
    Tried are this Python's pip, uv, and the pip of another Python here; one that is not there is no failure.
    """
    said = proc.Result(argv=(), code=1, stdout=b"", stderr=b"there is neither uv nor a Python with pip here")
    for argv, environ in _installers():
        try:
            if not proc.run([*argv, "--help"], deadline=deadline.sooner(60)).ok:
                continue
        except LabError as error:
            if error.exit_code == 130:
                raise
            continue
        words = [*argv, "install", *OPTIONS, "--target", str(target), "-r", str(pins)]
        uv = argv[-2] != "-m"
        if other is not None:
            words += other.words(uv=uv)
        elif uv:  # it asks which Python the wheels are for
            words += ["--python", sys.executable]
        said = proc.run(words, deadline=deadline, env=environ)
        if said.ok:
            break
    return said


def _installers() -> list[tuple[list[str], dict[str, str] | None]]:
    """(program and its word before `install`, its environment), the likeliest first."""
    found: list[tuple[list[str], dict[str, str] | None]] = [([sys.executable, "-m", "pip"], None)]
    beside = Path(sys.executable).parent / BESIDE
    uv = beside if beside.is_file() else proc.which("uv")
    if uv is not None:
        found.append(([str(uv), "pip"], {**os.environ, **index_settings(os.environ)}))
    others = {str(path) for name in ("python3", "python") if (path := proc.which(name)) is not None}
    return [*found, *(([python, "-m", "pip"], None) for python in sorted(others - {sys.executable}))]


def index_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """What uv has to be told of pip's settings: the index, where uv's own settings name none."""
    told = {}
    for name, key in UV_KEYS.items():
        if environ.get(name) or environ.get(UV_OLD[name]):
            continue
        value = environ.get("PIP_" + key.upper().replace("-", "_")) or _pip_setting(environ, key)
        if value:
            told[name] = value
    return told


def _pip_setting(environ: Mapping[str, str], key: str) -> str:
    """A key of pip's files, the user's before the system's."""
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or "/")
    files = [
        Path(environ.get("PIP_CONFIG_FILE", "")),
        Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf",
        home / ".pip/pip.conf",
        home / "Library/Application Support/pip/pip.conf",
        Path(environ.get("APPDATA") or home) / "pip/pip.ini",
        Path("/etc/pip.conf"),
    ]
    for path in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        for section in ("install", "global"):
            if value := parser.get(section, key, fallback=""):
                return value.strip()
    return ""
