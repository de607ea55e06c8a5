"""The environment of the programs that we start, and the folder that they start in.

A shell's settings for Python, pip, uv, Go or git are meant for the person's own work there, and files of the current
folder may be a stranger's: neither reaches a program of ours. What a person says of networks (proxies, certificates,
`netrc`, SSH agents) does; of indexes and module proxies see `installers` and `toolchain`.
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

# Nobody but the system's owner writes there, and it has no parent: no program finds a file of its own in it by chance.
# QEMU takes firmware, uv its settings, Go a module, pyenv a version and `python -m` modules from where they start.
FOLDER: Final = Path(os.environ.get("SYSTEMROOT", "C:\\Windows") if sys.platform == "win32" else "/")
# Besides installers.STEERING. GIT_*: what git sets in its hooks, which says where *that* repository is.
MEANT_FOR_OTHERS: Final = re.compile(
    r"GO[A-Z0-9_]*|CGO_.*|ANSIBLE_.*|ORCHESTRION_.*|DD_.*|OTEL_.*|"
    r"GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|NAMESPACE|PREFIX|"
    r"CEILING_DIRECTORIES|IMPLICIT_WORK_TREE|GRAFT_FILE|SHALLOW_FILE|REPLACE_REF_BASE|CONFIG|INTERNAL_SUPER_PREFIX)"
)

# Folders that a person's environment names. A relative one is another folder wherever a program starts: the XDG rules
# have it ignored, Go refuses it. An empty one is as none.
PLACES: Final = re.compile(r"HOME|TMPDIR|XDG_(CACHE|CONFIG|DATA|STATE|BIN)_HOME|XDG_RUNTIME_DIR")


def settle() -> list[str]:
    """Take what is no absolute folder out of this process's environment, for us and every child; what to say of it."""
    places = {name: value for name, value in os.environ.items() if PLACES.fullmatch(name)}
    wrong = {name: value for name, value in places.items() if not Path(value).is_absolute()}
    for name in wrong:
        del os.environ[name]
    return [f"{name}={value} is ignored: it is not an absolute path" for name, value in sorted(wrong.items()) if value]


def shielded(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """What every program gets: `base` (this process's) without what is meant for others."""
    given = os.environ if base is None else base
    kept = {
        name: value
        for name, value in given.items()
        if not installers.STEERING.match(name) and not MEANT_FOR_OTHERS.fullmatch(name)
    }
    return kept | {"PATH": path(given), "NoDefaultCurrentDirectoryInExePath": "1"}  # the latter is Windows' own


def of(program: str) -> dict[str, str]:
    """What a program gets that is given nothing else."""
    return own_python() if program == sys.executable else shielded()


def path(base: Mapping[str, str] | None = None) -> str:
    """PATH without its relative folders ("." and the empty one): their programs are whoever's the current folder is."""
    given = (os.environ if base is None else base).get("PATH", os.defpath)
    return os.pathsep.join(folder for folder in given.split(os.pathsep) if Path(folder).is_absolute())


def own_python(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """For this Python with modules of this `lab`, wherever it starts."""
    return shielded(base) | {"PYTHONPATH": str(PACKAGE.parent), "PYTHONSAFEPATH": "1"}
