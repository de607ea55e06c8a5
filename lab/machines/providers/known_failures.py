"""Known failures of other tools, recognised by their output."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lab.model.errors import LabError


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailure:
    """A regular expression for the tool's output, and the error that `lab` reports for it."""

    pattern: str
    error: type[LabError]
    message: str
    fix: str


def known_in(failures: Iterable[KnownFailure], output: str) -> KnownFailure | None:
    """The first of `failures` whose pattern matches `output`."""
    return next((known for known in failures if re.search(known.pattern, output)), None)
