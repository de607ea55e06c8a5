"""The house of a show: the audience page, the browser, a laptop that stays awake, and the speaker's terminal."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lab.stage import browser
from lab.stage.awake import awake
from lab.stage.cast import Alive
from lab.stage.events import Remark, StageEvent
from lab.stage.page.server import Page
from lab.stage.pulse import beating
from lab.stage.view import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """port: of the page, 0 a free one. browse: open it. single: the terminal is on the projector too."""

    port: int = 0
    browse: bool = True
    single: bool = False


@contextlib.contextmanager
def opened(
    stage: Stage, emit: Callable[[StageEvent], object], house: House, *, alive: Callable[[], Alive] | None = None
) -> Iterator[Page]:
    """The page, served and opened, and the pulse of host and machine, while the block runs."""

    def remark(text: str) -> None:
        emit(Remark(text=text, level="warning"))

    page = Page(stage, port=house.port)
    page.start()
    try:
        with awake(remark), beating(emit, alive=alive, views=lambda: page.views):
            if house.browse and not browser.opened(page.address):
                remark(f"no browser was found: open {page.address}")
            yield page
    finally:
        page.stop()


def perform(
    stage: Stage, page: Page, house: House, show: Callable[[Handover], object], *, cancel: threading.Event
) -> None:
    """The speaker's terminal around `show`, which runs beside it and gets what hands the terminal to a shell."""
    from lab.stage.speaker.app import Screen, Speaker

    speaker = Speaker(stage, Screen(single=house.single, address=lambda: page.address), cancel=cancel)
    speaker.perform(lambda: show(speaker.suspended))


Handover = Callable[[list[str]], None]
