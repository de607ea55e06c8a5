"""Where keys come from when standard input has ended: a page that is open, or nowhere."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from lab.cli.stage import plain


class Show:
    """What a keyboard acts on: `views` pages are open, `alone` is set when it goes on by itself."""

    def __init__(self) -> None:
        self.views = 0
        self.alone = threading.Event()
        self.acts: list[str] = []

    def act(self, action: str, _: str) -> None:
        self.acts.append(action)
        if action == "alone":
            self.alone.set()


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    monkeypatch.setattr(plain, "POLL_S", 0.02)
    monkeypatch.setattr(plain, "BACK_S", 0.5, raising=False)


def test_a_page_that_was_closed_sends_no_key_any_more() -> None:
    show = Show()
    show.views = 1
    with plain.keyboard(show.act, lambda: show.views, 0.3):
        assert not show.alone.wait(0.8), "a page is open"
        show.views = 0
        assert show.alone.wait(10)
    assert show.acts == ["alone"]


@pytest.mark.parametrize("page_s", [0.0, 0.3])
def test_a_page_that_is_loaded_again_is_waited_for(page_s: float) -> None:
    show = Show()
    show.views = 1
    with plain.keyboard(show.act, lambda: show.views, page_s):
        assert not show.alone.wait(0.2)
        show.views = 0
        assert not show.alone.wait(0.2), "it may come back"
        show.views = 1
        assert not show.alone.wait(0.8)


@pytest.mark.parametrize("page_s", [0.0, 0.3])
def test_without_a_page_the_show_goes_on_alone(page_s: float) -> None:
    show = Show()
    with plain.keyboard(show.act, lambda: show.views, page_s):
        assert show.alone.wait(10)
