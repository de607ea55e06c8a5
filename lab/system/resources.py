"""Where the files are that `lab` ships: demo/, playbooks/, vagrant/. The only place that knows."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from lab.model.errors import PreconditionError

FOLDERS: Final = ("demo", "playbooks", "vagrant")

PACKAGE: Final = Path(__file__).resolve().parent.parent


@cache
def root() -> Path:
    """The folder that holds FOLDERS: the checkout, or what an installed wheel carries beside the code.

    Raises PreconditionError when neither is whole, as after a partial copy.
    """
    for candidate in (PACKAGE / "_data", PACKAGE.parent):
        if all((candidate / name).is_dir() for name in FOLDERS):
            return candidate
    raise PreconditionError(
        f"this installation of lab lacks {', '.join(FOLDERS)} (looked in {PACKAGE / '_data'} and {PACKAGE.parent})",
        fix="install lab again, or run ./labw in a whole checkout",
    )
