"""What of the speaker's lines a terminal has room for: the sentence to say comes before all else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Final

from lab.stage.speaker.words import Line

LONGEST: Final = 400  # letters of one reason that are looked at
STEP: Final = 2
# Who gives its last line first where not all fit, and how many it keeps then. Nobody takes the sentence's.
GIVES: Final = (
    ("others", 0), ("beats", 0), ("seen", 2), ("remarks", 1), ("seen", 1), ("next", 1), ("why", 0), ("seen", 0),
    ("notes", 0), ("help", 0), ("remarks", 0), ("next", 0), ("clock", 0), ("marks", 0), ("title", 0),
)  # fmt: skip
High = Callable[[str, Line], int]


def fitted(blocks: Mapping[str, Sequence[Line]], high: High, room: int) -> dict[str, list[Line]]:
    """The blocks with as many of their lines as `room` takes; high: the height of a line of a block."""
    kept = {name: list(lines) for name, lines in blocks.items()}
    over = sum(high(name, line) for name, lines in kept.items() for line in lines) - room
    for name, least in GIVES:
        while over > 0 and len(kept.get(name, ())) > least:
            over -= high(name, kept[name].pop())
    return kept


def shortened(reason: str, fits: Callable[[str], bool]) -> str:
    """A reason of several parts with as many of them as fit, and how many more there are."""
    parts = reason.split("; ")
    if fits(reason):
        return reason
    fitting = ("; ".join(parts[:count]) + _more(len(parts) - count) for count in range(1, len(parts)))
    *_, text = ["", *takewhile(fits, fitting)]  # from below: few fit, and there may be a hundred
    if text:
        return text
    more = _more(len(parts) - 1)
    cut = (f"{parts[0][:end].rstrip()}…{more}" for end in range(min(len(parts[0]), LONGEST), 0, -STEP))
    return next(filter(fits, cut), "…")


def _more(count: int) -> str:
    return f" and {count} more" if count else ""
