"""An asciinema cast of what the beats of a show printed.

Version 2 of its format: https://docs.asciinema.org/manual/asciicast/v2/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

from lab.model.printed import harmless
from lab.stage.page.public import without_home
from lab.stage.stream.events import BeatStarted, Line, ShowStarted
from lab.stage.stream.records import StageRecord

WIDE: Final = 100
HIGH: Final = 30
PAUSE_S: Final = 2.0  # the longest silence
TITLE: Final = "\x1b[2J\x1b[H\x1b[7m {} \x1b[0m\r\n\r\n"
ERROR: Final = "\x1b[33m{}\x1b[0m\r\n"


def cast(records: Iterable[StageRecord], title: str) -> str:
    """The whole file. Beats that print nothing are left out."""
    head = {"version": 2, "width": WIDE, "height": HIGH, "title": without_home(title)}
    return "".join(json.dumps(line) + "\n" for line in (head, *_events(records)))


def _events(records: Iterable[StageRecord]) -> Iterator[list[object]]:
    titles: tuple[str, ...] = ()
    beat = ""
    now = before = 0.0
    for record in records:
        match record.event:
            case ShowStarted() as event:
                titles = tuple(card.title for card in event.beats)
            case BeatStarted() as event:
                mark = f" (RECORDED {event.recorded})" if event.recorded else ""
                beat = TITLE.format(f"{_plain(titles[event.beat])}{mark}")
            case Line() as event:
                now += min(max(record.at_s - before, 0.0), PAUSE_S)
                before = record.at_s
                if beat:
                    yield [round(now, 3), "o", beat]
                    beat = ""
                text = _plain(event.text)
                yield [round(now, 3), "o", ERROR.format(text) if event.stream == "err" else f"{text}\r\n"]
            case _:
                pass


def _plain(text: str) -> str:
    """Without the speaker's home folder, and without what steers a terminal."""
    return harmless(without_home(text))
