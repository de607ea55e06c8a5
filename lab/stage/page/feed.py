"""What every open page is sent: the public records so far, and a wake-up for each new one."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator
from typing import Final

from lab.stage.page.public import public, written
from lab.stage.stream.records import StageRecord

CHUNK: Final = 400  # records in one write to a page that catches up
DIGITS: Final = 12  # of a number that a record can have


class Feed:
    """Written by the show's thread, read by the server's. An event's id is NAME-SEQ: NAME is of this one show.

    A page that comes back after the server was restarted names another show, and gets this one from its start.
    """

    def __init__(self) -> None:
        self.name: Final = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._events: list[str] = []
        self._seqs: list[int] = []
        self._pages: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._closed = False

    @property
    def views(self) -> int:
        """How many pages are open now."""
        return len(self._pages)

    def add(self, record: StageRecord) -> None:
        """One more record; private ones are dropped here."""
        doc = public(record)
        if doc is None:
            return
        with self._lock:
            self._events.append(f"id: {self.name}-{record.seq}\ndata: {written(doc)}\n\n")
            self._seqs.append(record.seq)
        self._wake()

    def close(self) -> None:
        """End every page's stream."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            pages = list(self._pages.items())
        for event, loop in pages:
            loop.call_soon_threadsafe(event.set)

    def _from(self, last: str) -> int:
        """Where in the list a page goes on that has seen the event `last`."""
        name, _, seq = last.rpartition("-")
        if name != self.name or not seq.isdecimal() or len(seq) > DIGITS:
            return 0
        return next((at for at, known in enumerate(self._seqs) if known > int(seq)), len(self._seqs))

    async def stream(self, last: str) -> AsyncIterator[str]:
        """Text of an event stream. The first event says whether the page starts over."""
        at = self._from(last)
        news = asyncio.Event()
        with self._lock:
            self._pages[news] = asyncio.get_running_loop()
        try:
            if at == 0:
                yield "event: start\ndata: {}\n\n"
            ending = False
            while not ending:
                news.clear()
                ending = self._closed  # before what is sent: what came ahead of the end is sent too
                while at < len(self._events):
                    some = self._events[at : at + CHUNK]
                    at += len(some)
                    yield "".join(some)
                if not ending:
                    await news.wait()
        finally:
            with self._lock:
                del self._pages[news]
