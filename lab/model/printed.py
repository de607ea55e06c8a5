"""Text that others wrote, as a terminal leaves it: nothing in it steers the terminal or page that shows it."""

from __future__ import annotations

import re
from typing import Final

# what a terminal obeys: CSI, strings such as a window's title (OSC), other escapes, and control characters
_ORDER: Final = (
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_OBEYED: Final = re.compile(_ORDER)
_PARTS: Final = re.compile(rf"(?P<erases>\x1b\[[0-2]?K)|{_ORDER}|[^\x00-\x08\x0b-\x1f\x7f-\x9f]+")


def harmless(text: str) -> str:
    """`text` without terminal control. What was written over, such as a progress, is as it was last; tabs stay."""
    return "\n".join(map(_line, text.split("\n"))) if _OBEYED.search(text) else text


def _line(line: str) -> str:
    cells: list[str] = []
    at = 0
    for found in _PARTS.finditer(line):
        part = found[0]
        if part == "\r":
            at = 0
        elif part == "\b":
            at = max(0, at - 1)
        elif found["erases"]:
            cells = {"1": [" "] * at + cells[at:], "2": []}.get(part[2], cells[:at])
        elif not _OBEYED.match(part):
            cells += [" "] * (at - len(cells))
            cells[at : at + len(part)] = part
            at += len(part)
    return "".join(cells)
