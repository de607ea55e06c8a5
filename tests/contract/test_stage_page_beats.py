"""The audience page in a real browser: what single beats show, and a key that is two."""

from __future__ import annotations

import time

import pytest

from lab.stage.stream.events import BeatStarted, Window
from tests.contract.audience import Audience, sees
from tests.fakes.recorded_show import BEATS

pytestmark = pytest.mark.contract


def test_a_number_and_enter_go_to_that_beat(audience: Audience) -> None:
    audience.play(until="welcome")
    sees(audience.tab, "One service")
    for key in ("1", "2", "Enter", "Enter", "7", "ArrowRight", "Enter"):
        audience.tab.keyboard.press(key)
    wait = time.monotonic() + 3
    while len(audience.show.acts) < 4 and time.monotonic() < wait:
        time.sleep(0.05)
    assert audience.show.acts == ["jump 11", "next", "next", "next"]


def test_each_woven_file_is_seen_with_what_was_added_to_it(audience: Audience) -> None:
    audience.play(until="build")
    sees(audience.tab, "gateway.go: 214 lines", "store.go: 31 lines", "main.go: 7 lines")


def test_what_is_waited_for_after_the_load_lowers_no_rate(audience: Audience) -> None:
    audience.play(until="attach")
    duet = next(at for at, beat in enumerate(BEATS) if beat.id == "duet")
    audience.add(BeatStarted(beat=duet, forms=("baseline", "ebpf")))
    for number in range(6):
        drains = number > 2
        rate, p50 = (0.0, None) if drains else (40.0, 9.0)
        at_ms = 500.0 * number
        audience.add(
            Window(at_ms=at_ms, form="ebpf", number=number, rate_rps=rate, p50_ms=p50, p99_ms=None, draining=drains)
        )
    sees(audience.tab, "ebpf 9")
    audience.tab.wait_for_function("[...document.querySelectorAll('.cost .n')].some((n) => n.textContent === '40')")
