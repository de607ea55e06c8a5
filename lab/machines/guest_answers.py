"""Validates what a machine reports about itself: names that become paths, ids that are compared and stored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lab.guest.wire import shown
from lab.model.errors import ProvisioningError

MOST_BYTES: Final = 1 << 20  # of an answer that is a few words
LINE: Final = 1000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+~-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What could not be ended or restored on that host: the answer of ending.py and of guest_claim.py's "restore"."""

    left: tuple[str, ...]


def is_name(text: str) -> bool:
    """A boot id, an image id, a kernel release: one word that is safe in a path, in a log and in a terminal."""
    return _NAME.fullmatch(text) is not None


def name(text: str, what: str) -> str:
    """`text` without the white space around it. Raises ProvisioningError when it is not a valid name."""
    found = text.strip()
    if not is_name(found):
        raise ProvisioningError(
            f"the machine reports an invalid {what}: {shown(found) or 'it is empty'}", fix="lab down, then lab up"
        )
    return found


def line(text: str) -> str:
    """`text` as one printable line of limited length."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:LINE]).strip()
