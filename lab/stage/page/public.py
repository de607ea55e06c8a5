"""What of a show's records leaves for the browser, and how it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from lab.stage.page.slides import tree
from lab.stage.stream.events import PRIVATE, Cause, Line, Slide
from lab.stage.stream.records import StageRecord

HOME: Final = str(Path("~").expanduser())


def public(record: StageRecord) -> dict[str, Any] | None:
    """The record as the page takes it; None for what only the speaker may see."""
    if isinstance(record.event, PRIVATE):
        return None
    doc = record.to_json()
    if isinstance(record.event, Slide):
        doc["data"] = {"at_ms": record.event.at_ms, "nodes": tree(record.event.markdown)}
    elif isinstance(record.event, Line):
        doc["data"]["text"] = record.event.text.replace(HOME, "~")  # whose laptop it is, nobody needs to see
    elif isinstance(record.event, Cause):
        del doc["data"]["evidence"]  # the speaker's: the audience hears one sentence
    return doc


def written(doc: object) -> str:
    """JSON on one line, fit for an event stream and for a <script> of data: nothing in it ends either."""
    text = json.dumps(doc, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c")
