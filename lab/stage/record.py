"""A stage event with its place in the show, and its JSON: what the page is sent and a take keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lab.guest.wire import Count, WireError, decode, encode, shown
from lab.stage.events import Private, Public, StageEvent

_KINDS: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in (*Public.__args__, *Private.__args__)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """One event with its place in the show: `seq` from 1 without a gap; `at_s` seconds since the show's start."""

    seq: Count
    at_s: float
    event: StageEvent

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the page, a take and a replay have them."""
        return {"seq": self.seq, "at_s": self.at_s, "event": type(self.event).__name__, "data": encode(self.event)}

    @staticmethod
    def from_json(doc: object) -> StageRecord:
        """The inverse of `to_json`. Raises WireError."""
        line = decode(_Written, doc)
        kind = _KINDS.get(line.event)
        if kind is None:
            raise WireError(f"one of {', '.join(_KINDS)} is expected, not {shown(line.event)}").inside("event")
        try:
            event: StageEvent = decode(kind, line.data)
        except WireError as error:
            raise error.inside("data") from None
        return StageRecord(seq=line.seq, at_s=line.at_s, event=event)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """A record as it is written: its event's name and the fields of that event."""

    seq: Count
    at_s: float
    event: str
    data: dict[str, Any]
