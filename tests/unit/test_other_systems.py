"""No path that a Mac or Windows host takes needs what only POSIX has: the host half is imported without it."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

from tests.support import ROOT

# What Windows lacks; macOS lacks fewer. Libraries know their systems: they are loaded before it is taken away.
MODULES: Final = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
FUNCTIONS: Final = (
    "fork",
    "geteuid",
    "getloadavg",
    "getuid",
    "killpg",
    "pread",
    "sched_setaffinity",
    "setsid",
    "statvfs",
)
PURE: Final = ("scoring", "wire")  # what the host takes of the guest half
PROGRAM: Final = """
import builtins, importlib, os, pathlib, sys
import ansible, boto3, fabric, paramiko, psutil, rich, starlette, textual.app, typer, uvicorn, yaml

def refusing(name, globals=None, *rest, real=builtins.__import__):
    asker = str((globals or {}).get("__name__", ""))
    if name.partition(".")[0] in MODULES and asker.startswith("lab."):
        raise ImportError(f"{asker} needs {name}")
    return real(name, globals, *rest)

builtins.__import__ = refusing
for name in FUNCTIONS:
    delattr(os, name)
seen = 0
for path in sorted(pathlib.Path("lab").rglob("*.py")):
    parts = path.with_suffix("").parts
    if parts[-1] != "__main__" and (parts[1] != "guest" or parts[2] in PURE):
        importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        seen += 1
print(seen)
"""


def imported(more: str = "") -> subprocess.CompletedProcess[str]:
    names = f"MODULES, FUNCTIONS, PURE = {MODULES!r}, {FUNCTIONS!r}, {PURE!r}\n"
    argv = [sys.executable, "-c", names + PROGRAM + more]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_host_half_is_imported_without_posix() -> None:
    ended = imported()
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert int(ended.stdout) > 150, "nearly all of lab"


@pytest.mark.parametrize("line", ["import fcntl", "from pwd import getpwnam", "import os; os.geteuid()"])
def test_a_module_that_needs_it_would_be_noticed(line: str) -> None:
    ended = imported(f"exec({line!r}, {{'__name__': 'lab.planted'}})")
    assert ended.returncode != 0
    assert "lab.planted needs" in ended.stderr or "has no attribute" in ended.stderr
