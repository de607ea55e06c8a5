"""What surrounds a show."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

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
        ends = time.monotonic() + 5
        while not told(said) and time.monotonic() < ends:
            time.sleep(0.01)
        assert told(said) == [f"a browser was not let in: its address is {page.address}"]


def told(said: Sequence[StageEvent]) -> list[str]:
    return [one.text for one in said if isinstance(one, Remark) and "let in" in one.text]


def test_what_is_said_seldom_is_said_again_when_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second browser that is refused after the first was let in needs the address as well."""
    clock, said = [0.0], []
    monkeypatch.setattr(house, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    say = house.Seldom(lambda: said.append(clock[0]))
    for clock[0] in (100.0, 101.0, 100.0 + house.AGAIN_S, 131.0):
        say()
    assert said == [100.0, 100.0 + house.AGAIN_S]


def test_lines_that_go_into_a_file_name_no_address(tmp_path: Path) -> None:
    said: list[StageEvent] = []
    pulse = Pulse(cast=None, home=tmp_path, emit=said.append)
    asked = house.House(browse=False, tells=False)
    with house.opened(Show(records()), said.append, asked, pulse=pulse) as page:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", page.port, timeout=5)) as line:
            line.request("GET", "/events")
            assert line.getresponse().status == 403
        token = page.address.partition("#")[2]
        assert not [one for one in said if isinstance(one, Remark) and token in one.text]
