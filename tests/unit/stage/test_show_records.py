"""A file with the records of a show: what is refused, and in which encodings it may come."""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.model.errors import Unreadable, UsageError
from lab.stage.replay import recordings
from lab.stage.replay.asciicast import cast
from lab.stage.stream.events import BeatCard, BeatEnded, BeatStarted, Line, ShowStarted, StageEvent
from lab.stage.stream.records import StageRecord
from tests.unit.stage.scripted import a_lab

CARD = BeatCard(id="a", title="A", kind="command", budget_s=1.0)
START = ShowStarted(title="T", beats=(CARD,), slot_s=60.0, forms=(), source="live", machine="m")
BARE = ShowStarted(title="T", beats=(), slot_s=60.0, forms=(), source="live", machine="m")
FIRST = BeatStarted(beat=0)
SAID = Line(at_ms=0.0, text="naïve")
END = BeatEnded(beat=0, outcome="passed", seconds=1.0)


def text(events: Sequence[StageEvent]) -> str:
    records = [StageRecord(seq=n, at_s=0.0, event=event) for n, event in enumerate(events, start=1)]
    return "".join(json.dumps(one.to_json(), ensure_ascii=False) + "\n" for one in records)


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ((START, FIRST, SAID, START, FIRST), "show.jsonl:4 cannot be read: a second show begins here"),
        ((START, FIRST, BARE), "show.jsonl:3 cannot be read: a second show begins here"),
        ((FIRST, SAID, START), "show.jsonl:1 cannot be read: a beat comes before the start of its show"),
        ((END, START), "show.jsonl:1 cannot be read: a beat comes before the start of its show"),
        ((BARE, FIRST, SAID), "show.jsonl:2 cannot be read: a beat that is not among the show's 0"),
    ],
)
def test_records_that_are_no_one_show_are_refused(tmp_path: Path, events: tuple[StageEvent, ...], why: str) -> None:
    path = tmp_path / "show.jsonl"
    path.write_text(text(events), encoding="utf-8")
    with pytest.raises(Unreadable) as caught:
        recordings.find(a_lab(tmp_path), str(path))
    assert why in caught.value.message


WHOLE = text((START, FIRST, SAID, END))


@pytest.mark.parametrize(
    "data",
    [
        WHOLE.encode() + b"\n",
        WHOLE.replace("\n", "\r\n\r\n").encode(),
        WHOLE.encode() + b'{"seq": 5, "at',
        WHOLE.rstrip().encode(),
        WHOLE.encode() + b'{"result": {"command": "show", "exit": 130}}\n',
        codecs.BOM_UTF8 + WHOLE.encode(),
        codecs.BOM_UTF16_LE + WHOLE.replace("\n", "\r\n").encode("utf-16-le"),
        codecs.BOM_UTF16_BE + WHOLE.encode("utf-16-be"),
    ],
    ids=[
        "blank last line",
        "blank lines",
        "cut last line",
        "no last newline",
        "stopped",
        "mark",
        "PowerShell",
        "big-endian",
    ],
)
def test_as_editors_and_shells_save_it(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "show.jsonl"
    path.write_bytes(data)
    found = recordings.find(a_lab(tmp_path), str(path))
    assert [record.event for record in found.records] == [START, FIRST, SAID, END]
    assert "naïve" in json.loads(cast(found.records, found.title).splitlines()[-1])[2]


def test_a_file_that_is_missing_is_no_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "show.jsonl"
    with pytest.raises(UsageError, match="there is no file"):
        recordings.find(a_lab(tmp_path), str(path))
    path.touch()
    with pytest.raises(UsageError, match="holds no show"):
        recordings.find(a_lab(tmp_path), str(path))
