"""The audience page in a real browser: what is drawn, the keys, and a server that goes and comes."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from lab.stage.page import alone
from lab.stage.page.server import Page
from lab.stage.replay.playback import marked
from lab.stage.stream.events import BeatEnded, BeatStarted, Cause, Curtain, Line
from lab.stage.stream.records import StageRecord
from tests.contract.audience import HIGH, SETTLED, WIDE, Audience, sees, text
from tests.fakes.recorded_show import BEATS, counted, records
from tests.unit.stage.test_page import Show

pytestmark = pytest.mark.contract


def test_the_waterfalls_of_a_request_stand_side_by_side(audience: Audience) -> None:
    audience.play(until="request")
    sees(audience.tab, "10 of 10", "7 of 10, 2 orphans", "Orders/Place")
    rows = audience.tab.locator(".names .row").all()
    assert len(rows) == 11
    for form, bars in (("orchestrion-otel", 10), ("ebpf", 7)):
        column = audience.tab.locator(".column", has=audience.tab.locator("h2", has_text=form))
        assert column.locator(".lanes .bar").count() == bars
        assert column.locator(".lanes .missing").count() == 10 - bars
        tops = [box["y"] for lane in column.locator(".lanes .row").all() if (box := lane.bounding_box())]
        names = [box["y"] for row in rows[1:] if (box := row.bounding_box())]
        assert tops == pytest.approx(names, abs=1.5), "the same row is the same span in every column"


def test_a_bar_appears_with_its_span_and_moves_nothing(audience: Audience) -> None:
    some = records()
    start = next(at for at, record in enumerate(some) if type(record.event).__name__ == "SpanArrived")
    for record in some[:start]:
        audience.show.add(record)
    sees(audience.tab, "UPDATE")
    before = [row.bounding_box() for row in audience.tab.locator(".row").all()]
    assert audience.tab.locator(".lanes .bar").count() == 0
    audience.show.add(some[start])
    audience.tab.wait_for_selector(".lanes .bar", timeout=SETTLED)
    assert [row.bounding_box() for row in audience.tab.locator(".row").all()] == before


def test_a_duet_ticks_and_its_values_are_judged_in_words(audience: Audience) -> None:
    audience.play(until="duet")
    told = sees(audience.tab, "1680 of 2400", "A BIT OFF", "ON", "The laptop was busy")
    assert "RECORDED" in told
    assert "2026-11-20" in told
    assert "the agent" in told
    assert audience.tab.locator(".value").count() == 3
    drawn = audience.tab.evaluate(
        """() => { const c = document.querySelector("canvas");
        const data = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        let seen = 0;
        for (let at = 3; at < data.length; at += 4) seen += data[at] > 0;
        return seen / (data.length / 4); }"""
    )
    assert drawn > 0.004, "lines are drawn"


def test_the_sentence_to_say_outlives_the_attempt(audience: Audience) -> None:
    audience.play(until="duet")
    sees(audience.tab, "The laptop was busy")
    last = [one.event for one in audience.show.records if isinstance(one.event, BeatStarted)][-1]
    audience.add(Cause(at_ms=1.0, name="warm-up", evidence="", sentence="It was cold"))
    audience.add(dataclasses.replace(last, attempt=2))
    audience.add(Line(at_ms=1.0, text="once more"))
    told = sees(audience.tab, "The laptop was busy")
    assert "It was cold" not in told
    audience.add(BeatEnded(beat=last.beat, outcome="passed", seconds=1.0))
    audience.tab.get_by_text("The laptop was busy").wait_for(state="detached", timeout=SETTLED)


def test_a_counted_duet_shows_instructions_and_no_time(audience: Audience) -> None:
    audience.play("duet", counted())
    told = sees(
        audience.tab, "counts instructions", "Instructions per request", "million", "250 requests", "1680 of 2400"
    )
    for word in ("Latency", "CPU", "requests/s", " ms"):
        assert word not in told, word


def test_a_counted_attachment_is_in_simulated_seconds(audience: Audience) -> None:
    audience.play("attach", counted())
    sees(audience.tab, "attached in 1.24 simulated s", "first span after 0.41 simulated s")


def test_live_beats_are_not_marked_and_nothing_private_is_there(audience: Audience) -> None:
    audience.play(until="attach")
    told = sees(audience.tab, "attached in 1.24 s", "first span after 0.41 s")
    assert "RECORDED" not in told
    assert "SECRET" not in audience.tab.content()


@pytest.mark.parametrize(
    ("key", "action"),
    [("PageDown", "next"), ("PageUp", "back"), (" ", "next"), ("ArrowRight", "next"), ("b", "curtain"), ("R", "retry")],
)
def test_keys_and_clickers_work_without_a_click(audience: Audience, key: str, action: str) -> None:
    audience.play(until="welcome")
    sees(audience.tab, "not one line")
    began = time.monotonic()
    audience.tab.keyboard.press(key)
    while not audience.show.acts and time.monotonic() - began < 2:
        time.sleep(0.002)
    assert audience.show.acts == [action]


def test_shortcuts_of_the_browser_stay_its_own(audience: Audience) -> None:
    for key in ("Control+r", "Alt+ArrowLeft"):
        audience.tab.keyboard.press(key)
    audience.tab.wait_for_timeout(200)
    assert audience.show.acts == []


def test_the_curtain_is_black_and_lifts(audience: Audience) -> None:
    audience.play(until="welcome")
    audience.add(Curtain(down=True))
    audience.tab.wait_for_selector("#curtain", state="visible", timeout=SETTLED)
    covered = audience.tab.evaluate("document.elementFromPoint(640, 360).id")
    assert covered == "curtain"
    audience.add(Curtain(down=False))
    audience.tab.wait_for_selector("#curtain", state="hidden", timeout=SETTLED)


def test_it_comes_back_after_the_server_was_restarted(audience: Audience) -> None:
    audience.play(until="build")
    sees(audience.tab, "260 lines added in 9 files")
    before = text(audience.tab)
    port, cookie, seen = audience.page.port, audience.page.cookie, list(audience.show.records)
    audience.page.stop()
    sees(audience.tab, "waiting for the show")
    audience.show = Show(seen)
    audience.page = Page(audience.show, port=port, cookie=cookie)
    audience.page.start()
    audience.tab.wait_for_selector("#link", state="hidden", timeout=SETTLED)
    sees(audience.tab, "260 lines added in 9 files")
    assert text(audience.tab) == before
    audience.add(Line(at_ms=1.0, text="and on it goes"))
    sees(audience.tab, "and on it goes")


def test_closed_and_opened_again_and_opened_twice_it_shows_the_same(audience: Audience) -> None:
    audience.play(until="safety")
    sees(audience.tab, "inside the program")
    before = text(audience.tab)
    audience.tab.close()
    address = f"http://127.0.0.1:{audience.page.port}/"
    tabs = [audience.context.new_page() for _ in range(2)]
    for tab in tabs:
        tab.goto(address)
        sees(tab, "inside the program")
        assert text(tab) == before
    assert audience.page.views == 2


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "open the address that the speaker's terminal shows"),
        ("used", "this address was used already: open the address"),
        ("wrong", "this address is not this show's: open the address"),
    ],
)
def test_a_stranger_sees_nothing_and_reads_why(chromium: Browser, audience: Audience, token: str, words: str) -> None:
    audience.play(until="request")
    with chromium.new_context() as other:
        tab = other.new_page()
        tab.goto(f"http://127.0.0.1:{audience.page.port}/#{audience.token if token == 'used' else token}")
        sees(tab, words)
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.wait_for_timeout(1200)
        assert asked == [], "it asks no more: it would be refused for ever"
        assert words in text(tab)
        assert "checkout" not in text(tab)
        tab.goto(audience.page.address)
        sees(tab, "checkout")


def test_a_replay_shows_what_the_live_show_showed(chromium: Browser, audience: Audience) -> None:
    """The same events give the same page: as they came, and all at once to one that comes late."""
    late = Audience(chromium)
    try:
        some = records()
        for at, record in enumerate(some):
            audience.show.add(record)
            if not isinstance(record.event, BeatEnded):
                continue
            now = text_when_drawn(audience.tab, some[: at + 1])
            again = Show(some[: at + 1])
            page = Page(again)
            page.start()
            try:
                late.tab.goto(page.address)
                assert text_when_drawn(late.tab, some[: at + 1]) == now
            finally:
                late.tab.goto("about:blank")
                page.stop()
    finally:
        late.close()


def text_when_drawn(tab: Tab, some: list[StageRecord]) -> str:
    """The page's text when it has drawn the last of these."""
    beat = next(record.event.beat for record in reversed(some) if isinstance(record.event, BeatStarted))
    sees(tab, f"{beat + 1} of {len(BEATS)}")
    tab.wait_for_timeout(150)
    return text(tab)


def test_nothing_is_cut_off_or_too_small_at_720p(chromium: Browser, tmp_path: Path) -> None:
    audience = Audience(chromium, color_scheme="dark")
    try:
        for beat in BEATS:
            audience.show.records.clear()
            audience.page.stop()
            audience.show = Show([])
            audience.page = Page(audience.show)
            audience.page.start()
            audience.play(until=beat.id)
            audience.tab.goto(audience.page.address)
            sees(audience.tab, f"{BEATS.index(beat) + 1} of {len(BEATS)}")
            audience.tab.wait_for_timeout(100)
            assert audience.tab.evaluate("document.documentElement.scrollHeight") <= HIGH
            assert audience.tab.evaluate(OUTSIDE) == []
            for css in (".count", ".cost .form", ".value .big", ".value .word", ".pillars td p", ".lines span", "h1"):
                for size in audience.tab.evaluate(SIZES, css):
                    assert size >= 24 or (css == ".lines span" and beat.id == "build"), css
            picture = audience.tab.screenshot(path=tmp_path / f"{beat.id}.png")
            assert len(picture) > 9000
    finally:
        audience.close()
    assert audience.complaints == []


OUTSIDE = """() => [...document.querySelectorAll("main *, header *, footer *")].filter((node) => {
  const box = node.getBoundingClientRect();
  const out = box.right > innerWidth + 1 || box.bottom > innerHeight + 1;
  return out && box.width > 0 && !node.closest("pre, svg, .slide");
}).map((node) => node.outerHTML.slice(0, 120))"""
SIZES = "css => [...document.querySelectorAll(css)].map((node) => parseFloat(getComputedStyle(node).fontSize))"


def test_the_replay_page_plays_without_server_and_network(
    chromium: Browser, audience: Audience, tmp_path: Path
) -> None:
    some = [marked(record, "2026-11-20") for record in records()]
    target = tmp_path / "replay.html"
    target.write_text(alone.page(some, "Compile time or eBPF?"), encoding="utf-8")
    with chromium.new_context(viewport={"width": WIDE, "height": HIGH}, offline=True) as context:
        tab = context.new_page()
        complaints: list[str] = []
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(target.as_uri())
        for number in range(1, len(BEATS) + 1):
            sees(tab, f"{number} of {len(BEATS)}", "RECORDED", "2026-11-20")
            tab.keyboard.press("PageDown")  # to the end of the beat, where it is not there yet
            tab.wait_for_timeout(150)
            if number == 2:
                for record in some:
                    audience.show.add(record)
                    if isinstance(record.event, BeatEnded) and record.event.beat == 1:
                        break
                served = sees(audience.tab, "7 of 10, 2 orphans")
                assert sees(tab, "7 of 10, 2 orphans") == served
            if f"{number} of {len(BEATS)}" in text(tab):
                tab.keyboard.press("PageDown")
        tab.wait_for_selector("body.k-card", timeout=SETTLED)
        assert complaints == []
