"""Requested forms that failed to build: listed once, at the end, with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lab.model.errors import LabError
from lab.model.form import Form
from lab.model.run import LeftOut

COMPILER: Final = re.compile(r"\S+\.go:\d+:")  # a line of the Go compiler with a position
FEW: Final = 3


def left_out(forms: Iterable[Form], failed: Mapping[str, LabError]) -> tuple[LeftOut, ...]:
    """One entry for each failed form, in the order of the request."""
    return tuple(
        LeftOut(form=form.name, title=form.title, reason=reason(failed[form.name]), fix=failed[form.name].fix)
        for form in forms
        if form.name in failed
    )


def reason(error: LabError) -> str:
    """The message, with the first positions that the compiler reports."""
    lines = [line.strip() for line in (error.detail or "").splitlines() if COMPILER.search(line)]
    return ": ".join([error.message, "; ".join(lines[:FEW])]) if lines else error.message


def lines(entries: Sequence[LeftOut]) -> list[str]:
    """One line of text for each form that failed to build: reason and fix."""
    return [f"{entry.form}: NOT BUILT: {entry.reason} (fix: {entry.fix})" for entry in entries]
