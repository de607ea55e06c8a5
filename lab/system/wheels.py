"""Wheels whose digests are pinned, into a folder, by whatever this host has to fetch them with.

An environment made by uv has no pip, one made by pip has no uv. `installers` gives either this person's indexes.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.model.errors import ConfigError, LabError
from lab.system import installers, proc
from lab.system.wait import Deadline

OPTIONS: Final = ("--require-hashes", "--only-binary", ":all:", "--no-deps")
BESIDE: str = "uv.exe" if os.name == "nt" else "uv"  # labw's own


@dataclass(frozen=True, slots=True, kw_only=True)
class For:
    """The target of the wheels: a Linux with this Python. `arch` as in `uname -m`; glibc 2.17 or newer."""

    python: tuple[int, int]
    arch: str

    def words(self, *, uv: bool) -> list[str]:
        """The options of uv or pip for it."""
        version = ".".join(map(str, self.python))
        if uv:
            return ["--python-platform", f"{self.arch}-manylinux_2_28", "--python-version", version]
        tags = [f"--platform=manylinux{tag}_{self.arch}" for tag in ("_2_28", "2014", "_2_17")]
        return [*tags, "--python-version", version, "--implementation", "cp"]


def install(pins: Path, target: Path, deadline: Deadline, *, other: For | None = None) -> proc.Result:
    """Install the lock file `pins` into `target`, which is new. The result is that of the last program tried.

    `other`: for another Python; pip still evaluates the pins' markers for this one.
    Tries this Python's pip, uv, and the pip of another Python; a missing one is skipped.
    """
    result = proc.Result(argv=(), code=1, stdout=b"", stderr=b"neither uv nor a Python with pip is installed")
    for argv in _installers():
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
        elif uv:  # it must be given the Python of the wheels
            words += ["--python", sys.executable]
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            env = installers.environment("uv" if uv else "pip", target.parent, os.environ)
        except ValueError as error:
            raise ConfigError(str(error), fix="correct that file") from error
        result = proc.run(words, deadline=deadline, env=env)
        if result.ok:
            break
    return result


def _installers() -> list[list[str]]:
    """Each installer's command before `install`, the most likely first."""
    found = [[sys.executable, "-I", "-m", "pip"]]
    beside = Path(sys.executable).parent / BESIDE
    uv = beside if beside.is_file() else proc.which("uv")
    if uv is not None:
        found.append([str(uv), "pip"])
    others = {str(path) for name in ("python3", "python") if (path := proc.which(name)) is not None}
    return [*found, *([python, "-I", "-m", "pip"] for python in sorted(others - {sys.executable}))]
