"""What of a show's records may be read in a terminal that the audience sees, on a mirrored screen."""

from __future__ import annotations

from dataclasses import replace

from lab.stage.page.public import HOME
from lab.stage.stream.events import PRIVATE, BeatEnded, Cause, RequestDone
from lab.stage.stream.records import StageRecord


def mirrored(record: StageRecord) -> StageRecord | None:
    """The record without what is the speaker's, as the page has it, but still one that can be replayed; None for
    what is the speaker's as a whole."""
    match record.event:
        case event if isinstance(event, PRIVATE):
            return None
        case BeatEnded() | RequestDone() as event:  # an error message, with paths, hosts and fixes
            return replace(record, event=replace(event, reason=""))
        case Cause() as event:
            return replace(record, event=replace(event, evidence=""))
    return record


def without_home(line: str, *, home: str = HOME) -> str:
    """Without the folder that tells whose laptop it is. home: as the line writes it."""
    return line.replace(home, "~") if len(HOME) > 1 else line  # a container's may be the root
