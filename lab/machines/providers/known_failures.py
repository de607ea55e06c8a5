"""Ways in which another tool fails that we know by its words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lab.model.errors import LabError


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailure:
    """One way: a regular expression for what the tool prints, and what that is for whoever runs `lab`."""

    pattern: str
    error: type[LabError]
    message: str
    fix: str


def known_in(ways: Iterable[KnownFailure], told: str) -> KnownFailure | None:
    """The first of `ways` that is in the words `told`."""
    return next((known for known in ways if re.search(known.pattern, told)), None)
