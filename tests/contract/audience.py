"""A show on the audience page, in a real browser: what can be read on it, and what the browser complained about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage
from playwright.sync_api import Page as Tab

from lab.stage.page.server import Page
from lab.stage.stream.events import BeatEnded
from lab.stage.stream.records import StageRecord
from tests.fakes.recorded_show import BEATS, records
from tests.unit.stage.test_page import Show

WIDE, HIGH = 1280, 720
SETTLED = 3000  # ms


class Audience:
    """A show on a page that a browser shows; what the browser complained about."""

    def __init__(self, chromium: Browser, **options: Any) -> None:
        self.show = Show([])
        self.page = Page(self.show)
        self.page.start()
        self.context = chromium.new_context(viewport={"width": WIDE, "height": HIGH}, **options)
        self.tab = self.context.new_page()
        self.complaints: list[str] = []
        self.tab.on("console", self._said)
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.token = self.page.address.partition("#")[2]
        self.tab.goto(self.page.address)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "ERR_CONNECTION_REFUSED" not in message.text:
            self.complaints.append(message.text)

    def play(self, until: str = "", some: Sequence[StageRecord] | None = None) -> None:
        """The recorded show (or another) up to the end of the beat `until`, or all of it."""
        for record in records() if some is None else some:
            self.show.add(record)
            if isinstance(record.event, BeatEnded) and BEATS[record.event.beat].id == until:
                break

    def add(self, event: Any) -> None:
        self.show.add(StageRecord(seq=len(self.show.records) + 1, at_s=99.0, event=event))

    def close(self) -> None:
        self.context.close()
        self.page.stop()


def text(tab: Tab) -> str:
    """What can be read on it."""
    return str(tab.evaluate("document.body.innerText")) + "|" + tab.title()


def sees(tab: Tab, *wanted: str) -> str:
    """Wait until all of it can be read."""
    for one in wanted:
        tab.wait_for_function("wanted => document.body.innerText.includes(wanted)", arg=one, timeout=SETTLED)
    return text(tab)
