"""Locates the files that `lab` ships: demo/, playbooks/, vagrant/."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from lab.model.errors import PreconditionError

FOLDERS: Final = ("demo", "playbooks", "vagrant")

PACKAGE: Final = Path(__file__).resolve().parent.parent


@cache
def root() -> Path:
    """The folder that holds FOLDERS: the checkout, or the data of an installed wheel.

    Raises PreconditionError when neither is complete, as after a partial copy.
    """
    for candidate in (PACKAGE / "_data", PACKAGE.parent):
        if all((candidate / name).is_dir() for name in FOLDERS):
            return candidate
    raise PreconditionError(
        f"the lab installation lacks {', '.join(FOLDERS)} (searched in {PACKAGE / '_data'} and {PACKAGE.parent})",
        fix="reinstall lab, or run ./labw in a complete checkout",
    )
