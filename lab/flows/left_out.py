"""Forms that were asked for and could not be made: named once, at the end, with their reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lab.model.errors import LabError
from lab.model.form import Form
from lab.model.run import LeftOut

COMPILER: Final = re.compile(r"\S+\.go:\d+:")  # a line of the Go compiler that says where
FEW: Final = 3


def left_out(forms: Iterable[Form], failed: Mapping[str, LabError]) -> tuple[LeftOut, ...]:
    """One entry a form, in the order in which they were asked for."""
    return tuple(
        LeftOut(form=form.name, title=form.title, reason=reason(failed[form.name]), fix=failed[form.name].fix)
        for form in forms
        if form.name in failed
    )


def reason(error: LabError) -> str:
    """The message, with the first places that the compiler names."""
    lines = [line.strip() for line in (error.detail or "").splitlines() if COMPILER.search(line)]
    return ": ".join([error.message, "; ".join(lines[:FEW])]) if lines else error.message


def lines(entries: Sequence[LeftOut]) -> list[str]:
    """For people: what has no binary, why, and what to do."""
    return [f"{each.form}: NOT BUILT: {each.reason} (fix: {each.fix})" for each in entries]
