"""How an event reads as one line; shared by the terminal and the plain view, so that both say the same."""

from __future__ import annotations

import re
from typing import Any, Final

from lab.model.events import GuestEvent, Progress
from lab.model.figures import size

# what a terminal obeys: CSI and OSC sequences, and single control characters but for tab and newline
_ORDERS: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def shows_unicode(encoding: str | None) -> bool:
    """Whether a stream of this encoding (None: text in memory) has a place for every character."""
    return encoding is None or encoding.lower().startswith("utf")


def harmless(text: str) -> str:
    """`text` without what a terminal would obey: a console's log and a run's names are written by others."""
    return _ORDERS.sub("", text)


def progress(event: Progress) -> str:
    """ "12 of 40 cells", "3.1 MiB of 190 MiB"."""
    if event.unit == "bytes":
        return size(event.done) + (f" of {size(event.total)}" if event.total else "")
    return f"{event.done:g}" + (f" of {event.total:g}" if event.total else "") + f" {event.unit}"


def guest(event: GuestEvent) -> str:
    """What the guest half says, for people; "" for what is only data."""
    data: dict[str, Any] = event.data
    form = str(data.get("form", ""))
    if event.kind == "life":
        return f"{form}: {data.get('said', data.get('phase', ''))}"
    if event.kind == "proof":
        reason, gaps = str(data.get("reason", "")), str(data.get("gaps", ""))
        word = "ok" if data.get("ok") else "FAILED"
        more = f": {reason}" if reason else f" (not as the reference: {gaps})" if gaps else ""
        return f"{form}: proof {word}{more}"
    if event.kind == "cell":
        return f"{data.get('id', '')}: {_cell(data)}"
    if event.kind in ("notice", "failed"):
        return f"{form + ': ' if form else ''}{data.get('text', data.get('reason', ''))}"
    return ""


def _cell(data: dict[str, Any]) -> str:
    """What a measured cell is good for: a missed gate voids what it can touch and nothing else."""
    if data.get("valid"):
        return "valid"
    void, reasons = [str(family) for family in data.get("void", [])], "; ".join(map(str, data.get("reasons", [])))
    good = [family for family in ("spans", "cpu", "memory", "latency") if family not in void]
    if not void or not good:
        return f"INVALID: {reasons}"
    return f"valid for {', '.join(good)}; not for {', '.join(void)}: {reasons}"
