"""What surrounds a show."""

from __future__ import annotations

import contextlib
import http.client
from pathlib import Path

from lab.stage.page.server import Page
from lab.stage.play import house
from lab.stage.play.health import Pulse
from lab.stage.stream.events import Remark, StageEvent
from tests.fakes.recorded_show import records
from tests.unit.stage.test_page import Show, Visitor


def test_a_browser_that_is_not_let_in_is_told_of() -> None:
    """Of what comes from this page's own address alone: another site cannot fill the speaker's terminal."""
    told: list[str] = []
    audience = Page(Show(records()), refused=lambda: told.append(audience.address))
    audience.start()
    try:
        visitor = Visitor(audience)
        assert visitor.ask("GET", "/events").status == 403
        assert visitor.ask("POST", "/enter", "wrong", **visitor.own).status == 403
        assert told == [audience.address] * 2
        assert visitor.ask("GET", "/events", Host="example.org").status == 403
        visitor.enter()
        assert len(told) == 2
    finally:
        audience.stop()


def test_a_browser_that_is_not_let_in_gets_the_address_from_the_terminal(tmp_path: Path) -> None:
    """The page says that the terminal shows it; --plain and a small terminal do not show it all the time."""
    said: list[StageEvent] = []
    pulse = Pulse(cast=None, home=tmp_path, emit=said.append)
    with house.opened(Show(records()), said.append, house.House(browse=False), pulse=pulse) as page:
        for _ in range(3):
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", page.port, timeout=5)) as line:
                line.request("GET", "/events")
                answer = line.getresponse()
                assert answer.status == 403
                answer.read()
        told = [one.text for one in said if isinstance(one, Remark) and "let in" in one.text]
        assert told == [f"a browser was not let in: its address is {page.address}"]
