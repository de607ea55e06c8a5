"""The views of a show: how soon a key is answered, how smooth the page is, and what it keeps in memory."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

from lab.model.lab import Lab
from lab.stage.page.server import Page
from lab.stage.replay.playback import Playback
from lab.stage.stream.events import Window
from lab.stage.stream.records import Score
from tests.bench import targets
from tests.bench.figure import Figure
from tests.contract.test_stage_terminal import Terminal
from tests.e2e import browser
from tests.fakes.recorded_show import FORMS, records, windows

SMOOTH_S = 10
PER_S = 20  # windows of each form
HOUR = 7200  # windows of each form in an hour of half seconds
ANSWERED = """() => new Promise((done) => {
  const curtain = document.getElementById("curtain");
  let began = 0;
  addEventListener("keydown", () => { began = performance.now(); }, { capture: true, once: true });
  const drawn = () => requestAnimationFrame(() => done(performance.now() - began));
  new MutationObserver((_, watch) => { watch.disconnect(); drawn(); }).observe(curtain, { attributes: true });
})"""
FRAMES = """(ms) => new Promise((done) => {
  const times = [];
  const frame = (now) => { times.push(now); now - times[0] < ms ? requestAnimationFrame(frame) : done(times); };
  requestAnimationFrame(frame);
})"""
PAINTED = """() => new Promise((done) => {
  const seen = () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
  const look = () => (seen() === undefined ? requestAnimationFrame(look) : done(seen()));
  look();
})"""


def measure(lab: Lab, runs: int) -> list[Figure]:
    """The speaker's terminal, then the page."""
    return [*_terminal(runs), *_page(runs)]


def _terminal(runs: int) -> list[Figure]:
    """From a key sent to tmux to its effect read from the screen; and the same with `cat`, which only echoes."""
    samples: list[float] = []
    floor: list[float] = []
    with _in_tmux() as terminal:
        terminal.shows("1/9 One service", within_s=60)
        for number in range(2 * runs):
            time.sleep(0.3)
            samples.append(_until(terminal, partial(_black, number % 2 == 0)))
    with _in_tmux("cat") as terminal:
        time.sleep(1)
        floor += [_until(terminal, partial(_echoed, number + 1)) for number in range(2 * runs)]
    return [
        Figure(name="key to the terminal's reaction", samples=tuple(samples), target=targets.TERMINAL_KEY_S),
        Figure(name="key to the echo of cat, as read", samples=tuple(floor)),
    ]


@contextmanager
def _in_tmux(program: str = "") -> Iterator[Terminal]:
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as place:
        terminal = Terminal(Path(place), program=program)
        try:
            yield terminal
        finally:
            terminal.close()


def _black(on: bool, screen: str) -> bool:
    return ("THE PAGE IS BLACK" in screen) == on


def _echoed(count: int, screen: str) -> bool:
    return screen.count("b") >= count


def _until(terminal: Terminal, seen: Callable[[str], bool]) -> float:
    began = time.monotonic()
    terminal.press("b")
    while not seen(terminal.screen()):
        pass
    return time.monotonic() - began


def _page(runs: int) -> list[Figure]:
    painted, answered, frames, floor, busy = [], [], [], [], []
    with _shown() as (tab, score, page):
        for _ in range(runs):
            with tab.context.new_page() as other:
                other.goto(f"http://127.0.0.1:{page.port}/")
                painted.append(other.evaluate(PAINTED) / 1000)
        tab.bring_to_front()
        for _ in range(2 * runs):
            tab.evaluate(f"() => {{ window.measured = ({ANSWERED})(); }}")
            tab.keyboard.press("b")
            answered.append(tab.evaluate("window.measured") / 1000)
            tab.wait_for_timeout(100)
        devtools: Any = tab.context.new_cdp_session(tab)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        for _ in range(min(runs, 3)):
            feeding = threading.Thread(target=_feed, args=(score,))
            feeding.start()
            before = _busy_s(devtools)
            frames.append(_frame_ms(tab))
            busy.append(100 * (_busy_s(devtools) - before) / SMOOTH_S)
            feeding.join()
            with tab.context.new_page() as blank:
                blank.goto("about:blank")
                floor.append(_frame_ms(blank))
            tab.bring_to_front()
        grown = _grown(tab, score)
    return [
        Figure(name="page, first paint", samples=tuple(painted), target=targets.FIRST_PAINT_S),
        Figure(name="key to the page's reaction", samples=tuple(answered), target=targets.PAGE_KEY_S),
        Figure(name="frame, four forms at 20 windows/s", unit="ms", samples=tuple(frames), target=targets.FRAME_MS),
        Figure(name="frame of an empty page beside it", unit="ms", samples=tuple(floor)),
        Figure(name="CPU of the page's main thread then", unit="%", samples=tuple(busy)),
        Figure(name="JS heap after an hour of load, over 6 min", unit="MiB", samples=(grown,), target=targets.HEAP_MIB),
    ]  # fmt: skip


def _frame_ms(tab: Tab) -> float:
    """The mean time between two frames."""
    times = tab.evaluate(FRAMES, SMOOTH_S * 1000)
    return float((times[-1] - times[0]) / (len(times) - 1))


def _busy_s(devtools: Any) -> float:
    """CPU seconds that the page's main thread has used."""
    found = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
    return float(found["TaskDuration"])


@contextmanager
def _shown() -> Iterator[tuple[Tab, Score, Page]]:
    """A page in Chromium that shows the duet, and takes its keys from a playback."""
    some = records(recorded=())
    until = next(at for at, record in enumerate(some) if isinstance(record.event, Window))
    play = Playback(records=some[:until], day="2026-11-20")
    page = Page(play)
    page.start()
    thread = threading.Thread(target=play.run)
    thread.start()
    try:
        with sync_playwright() as driver:
            chromium = driver.chromium.launch(executable_path=browser.program(), args=["--no-sandbox"])
            tab = chromium.new_context(viewport={"width": 1280, "height": 720}).new_page()
            tab.goto(page.address)
            play.act("jump", "4")
            tab.wait_for_selector(".duet")
            yield tab, play.score, page
            chromium.close()
    finally:
        play.cancel.set()
        thread.join()
        page.stop()


def _feed(score: Score) -> None:
    """As many windows a second as are promised, in real time."""
    began = time.monotonic()
    for (at_ms, event), number in zip(windows(FORMS, SMOOTH_S * PER_S, 1000 / PER_S), range(10**6), strict=False):
        if number % len(FORMS) == 0:
            time.sleep(max(0.0, began + at_ms / 1000 - time.monotonic()))
        score.add(event)


def _grown(tab: Tab, score: Score) -> float:
    """What the heap has grown by between a tenth of an hour's windows and all of them, garbage collected."""
    devtools: Any = tab.context.new_cdp_session(tab)
    used = []
    for count, (_, event) in enumerate(windows(FORMS, HOUR), start=1):
        score.add(event)
        if count in {HOUR * len(FORMS) // 10, HOUR * len(FORMS)}:
            number = count // len(FORMS)
            tab.wait_for_function(
                "wanted => document.querySelector('.spans .n:not(:empty)') && document.body.innerText.includes(wanted)",
                arg=f"of {number * 100}",
                timeout=120_000,
            )
            devtools.send("HeapProfiler.collectGarbage")
            used.append(devtools.send("Runtime.getHeapUsage")["usedSize"] / (1 << 20))
    return float(used[1] - used[0])
