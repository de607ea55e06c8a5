"""What of a show's records leaves for the browser, and how it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from lab.stage.page.slides import tree
from lab.stage.stream.events import PRIVATE, BeatEnded, Cause, RequestDone, Slide
from lab.stage.stream.records import StageRecord

HOME: Final = str(Path("~").expanduser())


def public(record: StageRecord) -> dict[str, Any] | None:
    """The record as the page takes it; None for what only the speaker may see."""
    if isinstance(record.event, PRIVATE):
        return None
    doc = record.to_json()
    if isinstance(record.event, Slide):
        doc["data"] = {"at_ms": record.event.at_ms, "nodes": tree(record.event.markdown)}
    elif isinstance(record.event, Cause):
        del doc["data"]["evidence"]  # the speaker's: the audience hears one sentence
    elif isinstance(record.event, BeatEnded | RequestDone):
        doc["data"]["reason"] = ""  # an error message, with paths, hosts and fixes: the speaker's too
    doc["data"] = _in_all(doc["data"])
    return doc


def without_home(text: str) -> str:
    """Without the folder that tells whose laptop it is."""
    return text.replace(HOME, "~") if len(HOME) > 1 else text  # a container's may be the root


def _in_all(value: Any) -> Any:
    if isinstance(value, str):
        return without_home(value)
    if isinstance(value, list):
        return [_in_all(one) for one in value]
    if isinstance(value, dict):
        return {key: _in_all(one) for key, one in value.items()}
    return value


def written(doc: object) -> str:
    """JSON on one line, fit for an event stream and for a <script> of data: nothing in it ends either."""
    text = json.dumps(doc, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c")
