"""A show made of records: plays a recording as a show that is on, in its own time, with the keys of the stage."""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from lab.stage.stream.events import BeatStarted, Curtain, Health, Notes, Remark, ShowEnded, ShowStarted
from lab.stage.stream.keys import ALONE, number_of
from lab.stage.stream.records import Score, Sink, StageRecord

POLL_S: Final = 0.1
# what a replay tells of itself, and what whoever drove the show was told of that host and its machine
OF_THEN: Final = (Curtain, ShowEnded, Health, Remark)
LONGEST_S: Final = 20.0  # silence within a beat that is played as it was; a longer one is cut to this


@dataclass(slots=True, kw_only=True)
class Playback:
    """alone: goes from beat to beat without waiting for `next`. `day`: when it was recorded.

    Every beat is marked RECORDED, whatever it was when it was recorded.
    """

    records: Sequence[StageRecord]
    day: str
    alone: bool = False
    cancel: threading.Event = field(default_factory=threading.Event)
    score: Score = field(default_factory=Score)
    cancelled: bool = False  # Ctrl-C ended it
    _inbox: queue.SimpleQueue[tuple[str, str]] = field(default_factory=queue.SimpleQueue)
    _curtain: bool = False
    _first: dict[int, int] = field(default_factory=dict)  # beat -> its first attempt, in the order of the records

    def act(self, action: str, argument: str = "") -> None:
        self._inbox.put((action, argument))

    def subscribe(self, sink: Sink) -> Callable[[], None]:
        return self.score.subscribe(sink)

    def run(self) -> None:
        """Play to the end, or until `stop`."""
        head, beats = parts(self.records)
        for attempt, records in enumerate(beats):
            started = next(record.event for record in records if isinstance(record.event, BeatStarted))
            self._first.setdefault(started.beat, attempt)
        for record in head:
            self.score.add(marked(record, self.day).event)
        at: int | None = 0 if beats else None
        while at is not None:
            at = self._beat(at, beats)
        self.score.add(ShowEnded(seconds=round(time.monotonic() - self.score.began_s, 2)))

    def _beat(self, at: int, beats: Sequence[Sequence[StageRecord]]) -> int | None:
        """Play one beat; which comes after it, None for the end."""
        due = time.monotonic()
        for record, before in zip(beats[at], [beats[at][0], *beats[at]], strict=False):
            due += min(record.at_s - before.at_s, LONGEST_S)
            while (left := due - time.monotonic()) > 0:
                asked = self._asked(left)
                if asked is not None and asked[0] != "next":
                    return self._target(asked, at, len(beats))
                if asked is not None:
                    due = float("-inf")  # its end at once
            self.score.add(marked(record, self.day).event)
        asked = None
        while asked is None and not self.alone:
            asked = self._asked(POLL_S)
        return self._target(asked or ("next", ""), at, len(beats))

    def _asked(self, seconds: float) -> tuple[str, str] | None:
        """The next key that leads to another place; the others are answered here."""
        if self.cancel.is_set():
            self.cancelled = True
            return ("stop", "")
        try:
            action, argument = self._inbox.get(timeout=min(seconds, POLL_S))
        except queue.Empty:
            return None
        if action == "alone":
            self.alone = True
            self.score.add(Remark(text=ALONE, level="warning"))
        elif action == "curtain":
            self._curtain = not self._curtain
            self.score.add(Curtain(down=self._curtain))
        elif action == "jump" and number_of(argument) not in self._first:
            self.score.add(Remark(text="the recording has no such beat"))
        elif action in {"next", "back", "retry", "skip", "recorded", "jump", "stop"}:
            return (action, argument)
        elif action != "fullscreen":
            self.score.add(Remark(text=f"{action}: this is a recording"))
        return None

    def _target(self, asked: tuple[str, str], at: int, count: int) -> int | None:
        action, argument = asked
        if action == "stop":
            return None
        to = {"back": at - 1, "next": at + 1, "skip": at + 1}.get(action, at)
        if action == "jump":
            to = self._first[int(argument)]
        return min(max(to, 0), count) if to < count else None


def marked(record: StageRecord, day: str) -> StageRecord:
    """The record as one of a replay: whatever it was, it is live no more."""
    event = record.event
    if isinstance(event, ShowStarted):
        return dataclasses.replace(record, event=dataclasses.replace(event, source="replay"))
    if isinstance(event, BeatStarted):
        return dataclasses.replace(record, event=dataclasses.replace(event, recorded=event.recorded or day))
    return record


def parts(records: Sequence[StageRecord]) -> tuple[list[StageRecord], list[list[StageRecord]]]:
    """What stands before the first beat, and the records of each beat in the order in which they were played."""
    head: list[StageRecord] = []
    beats: list[list[StageRecord]] = []
    for record in records:
        if isinstance(record.event, BeatStarted):
            last = beats[-1] if beats else head
            notes = [last.pop()] if last and isinstance(last[-1].event, Notes) else []  # told just before their beat
            beats.append(notes)
        if not isinstance(record.event, OF_THEN):
            (beats[-1] if beats else head).append(record)
    told: dict[int, StageRecord] = {}  # a second attempt has no notes of its own, and can be the first that is seen
    for played in beats:
        for record in played:
            if isinstance(record.event, Notes):
                told[record.event.beat] = record
        first = played[0]
        if isinstance(first.event, BeatStarted) and first.event.beat in told:
            played.insert(0, dataclasses.replace(told[first.event.beat], at_s=first.at_s))
    return head, beats
