"""The house of a show: the audience page, the browser, a laptop that stays awake, and the speaker's terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from lab.stage.page import kept
from lab.stage.page.server import Page
from lab.stage.play import browser
from lab.stage.play.awake import NOTIFICATIONS, awake
from lab.stage.play.health import Pulse
from lab.stage.stream.events import Remark, StageEvent
from lab.stage.stream.records import Stage

AGAIN_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """port: of the page, 0 a free one. browse: open it. single: the terminal is on the projector too. tells: what is
    printed may name the page's address when a browser was not let in; it does not go into a file that others read."""

    port: int = 0
    browse: bool = True
    single: bool = False
    tells: bool = True


@contextlib.contextmanager
def opened(stage: Stage, emit: Callable[[StageEvent], object], house: House, *, pulse: Pulse) -> Iterator[Page]:
    """The page, served and opened, while the block runs. pulse: of host and machine."""

    def remark(text: str) -> None:
        emit(Remark(text=text, level="warning"))

    told = Seldom(lambda: remark(f"a browser was not let in: its address is {page.address}"))

    def refused() -> None:
        """In a thread of its own: a terminal that takes no more output would hold up the page's server."""
        if house.tells:
            threading.Thread(target=told, name="refused", daemon=True).start()

    page = Page(stage, port=house.port, cookie=kept.cookie(pulse.home, house.port), refused=refused)
    page.start()
    remark(NOTIFICATIONS)
    try:
        with awake(remark), _beating(pulse, page):
            if house.browse and not browser.opened(page.address):
                remark(f"no browser was found: open {page.address}")
            yield page
    finally:
        page.stop()


class Seldom:
    """Says something, but not again before that can have been read: a page may ask again and again."""

    def __init__(self, say: Callable[[], object]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._said_s = -math.inf

    def __call__(self) -> None:
        with self._lock:
            now_s = time.monotonic()
            if now_s - self._said_s < AGAIN_S:
                return
            self._said_s = now_s
        self._say()


@contextlib.contextmanager
def _beating(pulse: Pulse, page: Page) -> Iterator[None]:
    seen = dataclasses.replace(pulse, views=lambda: page.views)
    seen.start()
    try:
        yield
    finally:
        seen.end()


def perform(
    stage: Stage, page: Page, house: House, show: Callable[[Handover], object], *, cancel: threading.Event
) -> None:
    """The speaker's terminal around `show`, which runs beside it and gets what hands the terminal to a shell."""
    from lab.stage.speaker.app import Screen, Speaker

    speaker = Speaker(stage, Screen(single=house.single, address=lambda: page.address), cancel=cancel)
    speaker.perform(lambda: show(speaker.suspended))


Handover = Callable[[list[str]], None]
