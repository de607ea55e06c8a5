"""A page that was open all the time and one that comes late show the same, element by element."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from lab.stage.page import alone
from lab.stage.stream import events
from lab.stage.stream.records import StageRecord
from tests.contract.audience import HIGH, SETTLED, WIDE, Audience, sees

pytestmark = pytest.mark.contract

FORMS = ("orchestrion-otel", "ebpf")
ROWS = (
    events.WantedSpan(name="GET /a", kind="http server"),
    events.WantedSpan(name="Call", kind="rpc client", depth=1),
    events.WantedSpan(name="Call", kind="rpc client", depth=1),
)
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def started(*kinds: str, clock: Any = "real") -> events.ShowStarted:
    cards = tuple(
        events.BeatCard(id=f"b{at}", title=f"Beat {at + 1}", kind=kind, budget_s=9.0) for at, kind in enumerate(kinds)
    )
    return events.ShowStarted(title="T", beats=cards, slot_s=60, forms=FORMS, source="live", machine="lab", clock=clock)


def span(number: int, name: str, parent: str, start_ms: float, row: int = -1) -> events.SpanArrived:
    kind, told = ("client", "Call") if parent else ("server", "GET /a")
    return events.SpanArrived(
        at_ms=1, form="ebpf", number=number, span=name, parent=parent, name=told, kind=kind, service="s",
        start_ms=start_ms, duration_ms=2, row=row,
    )  # fmt: skip


def asked(number: int) -> list[events.StageEvent]:
    return [
        events.RequestSent(at_ms=0, form="ebpf", number=number, type="GET a", wanted=ROWS),
        events.RequestAnswered(at_ms=9, form="ebpf", number=number, status=200, latency_ms=10),
    ]


def done(number: int, **rows: int) -> events.RequestDone:
    missing = ("Call",) * (3 - len(rows))
    return events.RequestDone(at_ms=9, form="ebpf", number=number, wanted=3, seen=len(rows), missing=missing, rows=rows)


WHOLE = [*asked(0), span(0, "a", "", 0, 0), span(0, "b", "a", 1), span(0, "c", "a", 4), done(0, a=0, b=1, c=2)]
LESS = [*asked(1), span(1, "d", "", 0, 0), done(1, d=0)]
DOUBT = [*asked(0), span(0, "a", "", 0, 0), span(0, "c", "a", 4), done(0, a=0, c=2)]


def pillar(name: Any, run: str) -> events.Pillar:
    cells = tuple(events.PillarCell(form=form, words=f"costs {run}", evidence=f"run {run}") for form in FORMS)
    return events.Pillar(at_ms=0, pillar=name, cells=cells)


def window(**costs: Any) -> events.Window:
    return events.Window(at_ms=500, form="ebpf", number=0, rate_rps=0.0, p50_ms=None, p99_ms=None, **costs)


SHOWS: dict[str, list[events.StageEvent]] = {
    "fewer spans of the second request": [started("request"), events.BeatStarted(beat=0), *WHOLE, *LESS],
    "a span in doubt that goes elsewhere": [started("request"), events.BeatStarted(beat=0), *DOUBT],
    "another run of the same pillar": [
        started("pillar", "pillar", "pillar"), events.BeatStarted(beat=0), pillar("performance", "A"),
        events.BeatStarted(beat=1), pillar("stability", "A"),
        events.BeatStarted(beat=2), pillar("performance", "B"),
    ],
}  # fmt: skip


BARS = {"fewer spans of the second request": 1, "a span in doubt that goes elsewhere": 2}


def play(audience: Audience, some: list[events.StageEvent], *, frames: bool) -> str:
    """What is drawn in the end; frames: one is drawn after each event."""
    for event in some:
        audience.add(event)
        if frames:
            audience.tab.wait_for_timeout(40)
            audience.tab.evaluate(FRAMES)
    number = sum(isinstance(event, events.BeatStarted) for event in some)
    sees(audience.tab, f"{number} of {number}")
    audience.tab.wait_for_timeout(150)
    return str(audience.tab.locator("main").inner_html())


@pytest.mark.parametrize("name", SHOWS)
def test_what_is_drawn_bit_by_bit_is_what_is_drawn_at_once(chromium: Browser, name: str) -> None:
    drawn = []
    for frames in (True, False):
        audience = Audience(chromium)
        try:
            drawn.append(play(audience, SHOWS[name], frames=frames))
        finally:
            audience.close()
        assert audience.complaints == []
    assert drawn[0] == drawn[1]
    bars = drawn[0].count('"bar server') + drawn[0].count('"bar client')
    assert bars == BARS.get(name, 0)


def test_the_pillar_that_came_last_is_marked(chromium: Browser) -> None:
    audience = Audience(chromium)
    try:
        play(audience, SHOWS["another run of the same pillar"], frames=True)
        assert audience.tab.locator("tr.latest th").text_content() == "performance"
        sees(audience.tab, "costs B", "run A")
    finally:
        audience.close()


@pytest.mark.parametrize("clock", ["real", "counted"])
def test_before_the_first_answer_there_is_no_cost(chromium: Browser, clock: str) -> None:
    audience = Audience(chromium)
    try:
        some: list[events.StageEvent] = [started("load", clock=clock), events.BeatStarted(beat=0, forms=("ebpf",))]
        play(audience, [*some, window()], frames=True)
        cost = audience.tab.locator(".cost:not(.head) .n").nth(1)
        assert cost.inner_text() == "–"
        used: Any = {"service": 1.5, "agent": 0.5}
        audience.add(window(done=3, **({"instructions": used} if clock == "counted" else {"cpu_ms": used})))
        sees(audience.tab, "2")
        audience.tab.wait_for_function(
            "wanted => document.querySelectorAll('.cost:not(.head) .n')[1].innerText === '2'"
        )
    finally:
        audience.close()


def test_an_exported_page_goes_back_after_its_end(chromium: Browser, tmp_path: Path) -> None:
    some: list[events.StageEvent] = [
        started("slide", "slide"),
        events.BeatStarted(beat=0),
        events.Slide(at_ms=0, markdown="# first"),
        events.BeatStarted(beat=1),
        events.Slide(at_ms=0, markdown="# second"),
        events.ShowEnded(seconds=1.0),
    ]
    target = tmp_path / "replay.html"
    records = [StageRecord(seq=at, at_s=0.0, event=event) for at, event in enumerate(some, start=1)]
    target.write_text(alone.page(records, "T"), encoding="utf-8")
    with chromium.new_context(viewport={"width": WIDE, "height": HIGH}, offline=True) as context:
        tab = context.new_page()
        tab.goto(target.as_uri())
        sees(tab, "first")
        for _ in range(3):
            press(tab, "PageDown")
        tab.wait_for_selector("body.k-card", timeout=SETTLED)
        press(tab, "PageUp")
        sees(tab, "2 of 2", "second")
        press(tab, "PageUp")
        sees(tab, "1 of 2", "first")


def press(tab: Tab, key: str) -> None:
    tab.keyboard.press(key)
    tab.wait_for_timeout(100)
