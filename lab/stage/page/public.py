"""What of a show's records the audience may see, and how it is written for the browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lab.stage.page.looks import looks
from lab.stage.page.slides import tree
from lab.stage.stream.events import PRIVATE, BeatEnded, Cause, RequestDone, ShowStarted, Slide
from lab.stage.stream.records import StageRecord

HOME: Final = str(Path("~").expanduser())
# not a part of a longer path, such as another user's home that begins like this one
_AT_HOME: Final = re.compile(rf"(?<![\w.-]){re.escape(HOME)}(?![\w-]|\.\w)")


def shared(record: StageRecord) -> StageRecord | None:
    """The record without what is the speaker's, still one that can be replayed; None for what is the speaker's as a
    whole."""
    match record.event:
        case event if isinstance(event, PRIVATE):
            return None
        case BeatEnded() | RequestDone() as event:  # an error message, with paths, hosts and fixes
            return replace(record, event=replace(event, reason=""))
        case Cause() as event:  # the audience hears one sentence
            return replace(record, event=replace(event, evidence=""))
    return record


def public(record: StageRecord) -> dict[str, Any] | None:
    """The record as the page takes it; None for what only the speaker may see."""
    kept = shared(record)
    if kept is None:
        return None
    doc = kept.to_json()
    if isinstance(kept.event, Slide):
        doc["data"] = {"at_ms": kept.event.at_ms, "nodes": tree(kept.event.markdown)}
    if isinstance(kept.event, ShowStarted):
        doc["data"]["looks"] = looks(kept.event)
    doc["data"] = all_without_home(doc["data"])
    return doc


def without_home(text: str) -> str:
    """Without the folder that tells whose laptop it is."""
    return _AT_HOME.sub("~", text) if len(HOME) > 1 else text  # a container's may be the root


def all_without_home(value: Any) -> Any:
    """Every text in a JSON value."""
    if isinstance(value, str):
        return without_home(value)
    if isinstance(value, list):
        return [all_without_home(one) for one in value]
    if isinstance(value, dict):
        return {key: all_without_home(one) for key, one in value.items()}
    return value


def written(doc: object) -> str:
    """JSON on one line, fit for an event stream and for a <script> of data: nothing in it ends either."""
    text = json.dumps(doc, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c")
