"""The environment and the working folder of the programs that lab starts.

The user's settings for Python, pip, uv, Go or git are meant for other work, and files in the current folder may be
untrusted: neither reaches lab's programs. Network settings (proxies, certificates, `netrc`, SSH agents) do; for package
indexes and module proxies see `installers` and `toolchain`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab.system import installers
from lab.system.resources import PACKAGE

# Only root writes there, and it has no parent, so no program finds settings in it by accident. QEMU takes firmware, uv
# its settings, Go a module, pyenv a version and `python -m` modules from the working folder.
FOLDER: Final = Path(os.environ.get("SYSTEMROOT", "C:\\Windows") if sys.platform == "win32" else "/")
# In addition to installers.STEERING. GIT_*: set by git in its hooks, for another repository.
MEANT_FOR_OTHERS: Final = re.compile(
    r"GO[A-Z0-9_]*|CGO_.*|ANSIBLE_.*|ORCHESTRION_.*|DD_.*|OTEL_.*|"
    r"GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|NAMESPACE|PREFIX|"
    r"CEILING_DIRECTORIES|IMPLICIT_WORK_TREE|GRAFT_FILE|SHALLOW_FILE|REPLACE_REF_BASE|CONFIG|INTERNAL_SUPER_PREFIX)"
)

# Variables that name folders. A relative one depends on the working folder: the XDG specification says to ignore it, Go
# refuses it. An empty one counts as unset.
PLACES: Final = re.compile(r"HOME|TMPDIR|XDG_(CACHE|CONFIG|DATA|STATE|BIN)_HOME|XDG_RUNTIME_DIR")


def settle() -> list[str]:
    """Remove relative folders from this process's environment, for us and every child; returns the warnings."""
    places = {name: value for name, value in os.environ.items() if PLACES.fullmatch(name)}
    wrong = {name: value for name, value in places.items() if not Path(value).is_absolute()}
    for name in wrong:
        del os.environ[name]
    return [f"{name}={value} is ignored: it is not an absolute path" for name, value in sorted(wrong.items()) if value]


def shielded(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every program: `base` (default: this process's) without settings for other programs."""
    given = os.environ if base is None else base
    kept = {
        name: value
        for name, value in given.items()
        if not installers.STEERING.match(name) and not MEANT_FOR_OTHERS.fullmatch(name)
    }
    return kept | {"PATH": path(given), "NoDefaultCurrentDirectoryInExePath": "1"}  # the latter is for Windows


def of(program: str) -> dict[str, str]:
    """The default environment of a program."""
    return own_python() if program == sys.executable else shielded()


def path(base: Mapping[str, str] | None = None) -> str:
    """PATH without relative folders ("." and the empty one): their programs may be untrusted."""
    given = (os.environ if base is None else base).get("PATH", os.defpath)
    return os.pathsep.join(folder for folder in given.split(os.pathsep) if Path(folder).is_absolute())


def own_python(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this Python with `lab`'s modules, in any working folder."""
    return shielded(base) | {"PYTHONPATH": str(PACKAGE.parent), "PYTHONSAFEPATH": "1"}
