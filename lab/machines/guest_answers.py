"""What a machine tells of itself, checked where it arrives: names that become paths, ids that are compared and kept."""

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
    """What could not be ended or taken back there: the answer of ending.py and of guest_claim.py's "give-back"."""

    left: tuple[str, ...]


def is_name(text: str) -> bool:
    """A boot id, an image id, a kernel release: one word that is safe in a path, in a log and in a terminal."""
    return _NAME.fullmatch(text) is not None


def name(text: str, what: str) -> str:
    """`text` without the white space around it. Raises ProvisioningError where it is no such word."""
    found = text.strip()
    if not is_name(found):
        raise ProvisioningError(
            f"the machine's {what} is not one: {shown(found) or 'it is empty'}", fix="make the machine again: lab down"
        )
    return found


def line(text: str) -> str:
    """One line of a sensible length, whatever was sent, fit to be shown."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:LINE]).strip()
