"""An event as one line of text, the same in the terminal and the plain view."""

from __future__ import annotations

from typing import Any

from lab.model.events import GuestEvent, Progress
from lab.model.figures import size


def shows_unicode(encoding: str | None) -> bool:
    """Whether this encoding (None: text in memory) has every character."""
    return encoding is None or encoding.lower().startswith("utf")


def progress(event: Progress) -> str:
    """ "12 of 40 cells", "3.1 MiB of 190 MiB"."""
    if event.unit == "bytes":
        return size(event.done) + (f" of {size(event.total)}" if event.total else "")
    return f"{event.done:g}" + (f" of {event.total:g}" if event.total else "") + f" {event.unit}"


def guest(event: GuestEvent) -> str:
    """The text of an event of the guest half; "" for pure data."""
    data: dict[str, Any] = event.data
    form = str(data.get("form", ""))
    if event.kind == "life":
        return f"{form}: {data.get('said', data.get('phase', ''))}"
    if event.kind == "proof":
        reason, gaps = str(data.get("reason", "")), str(data.get("gaps", ""))
        word = "ok" if data.get("ok") else "FAILED"
        more = f": {reason}" if reason else f" (differs from the reference: {gaps})" if gaps else ""
        return f"{form}: proof {word}{more}"
    if event.kind == "cell":
        return f"{data.get('id', '')}: {_cell(data)}"
    if event.kind in ("notice", "failed"):
        return f"{form + ': ' if form else ''}{data.get('text', data.get('reason', ''))}"
    return ""


def _cell(data: dict[str, Any]) -> str:
    """The validity of a measured cell: a missed gate voids only the families that it affects."""
    if data.get("valid"):
        return "valid"
    void, reasons = [str(family) for family in data.get("void", [])], "; ".join(map(str, data.get("reasons", [])))
    if data.get("saturated"):
        return f"saturated: {reasons}"
    good = [family for family in ("spans", "cpu", "memory", "latency") if family not in void]
    if not void or not good:
        return f"INVALID: {reasons}"
    return f"valid for {', '.join(good)}; not for {', '.join(void)}: {reasons}"
