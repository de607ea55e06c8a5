"""The audience page when a beat is played again: the cause that is told, and the clock of the machine that plays."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser

from lab.stage.stream.events import AgentAttached, BeatEnded, BeatStarted, Cause, ShowStarted, Value, Window
from tests.contract.audience import HIGH, SETTLED, Audience, sees, text
from tests.fakes.recorded_show import BEATS, FORMS, records

pytestmark = pytest.mark.contract
DUET = next(at for at, beat in enumerate(BEATS) if beat.id == "duet")
ATTACH = next(at for at, beat in enumerate(BEATS) if beat.id == "attach")
AGAIN = BeatStarted(beat=DUET, attempt=2, forms=FORMS)
TAKE = dataclasses.replace(AGAIN, attempt=1, recorded="2026-11-20")
OFF = Value(
    at_ms=1, name="cpu_per_request", title="CPU per request", value=30.0, unit="ms", form="ebpf", judged="off",
    low=9.0, high=11.0, usual=10.0,
)  # fmt: skip
CAUSES = [
    Cause(at_ms=2, name=name, evidence="e", sentence=f"Sentence of {name}.", value="cpu_per_request")
    for name in ("noisy host", "warm-up", "late sends")
]
MISSED = BeatEnded(beat=DUET, outcome="missed", seconds=1.0)


@pytest.fixture
def audience(chromium: Browser) -> Iterator[Audience]:
    made = Audience(chromium)
    made.play(until="attach")
    yield made
    made.close()
    assert made.complaints == []


def fails(audience: Audience) -> None:
    for event in (BeatStarted(beat=DUET, forms=FORMS), OFF, *CAUSES, MISSED):
        audience.add(event)


def test_the_likeliest_cause_is_told_and_outlives_its_attempt(audience: Audience) -> None:
    fails(audience)
    assert "warm-up" not in sees(audience.tab, "Sentence of noisy host.", "OFF")
    for then in (AGAIN, TAKE):
        audience.add(then)
        told = sees(audience.tab, "Sentence of noisy host. (CPU per request of ebpf was 30 ms)")
        assert "warm-up" not in told
        box = audience.tab.locator("#cause").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= HIGH
        assert audience.tab.evaluate("(n => n.scrollWidth <= n.clientWidth)(document.getElementById('cause'))")
    audience.add(BeatEnded(beat=DUET, outcome="recorded", seconds=1.0))
    audience.tab.wait_for_timeout(100)
    assert "Sentence of noisy host." in text(audience.tab)


def test_the_value_beside_it_is_of_the_form_that_the_cause_is_in(audience: Audience) -> None:
    other = dataclasses.replace(OFF, form="baseline", value=20.0)
    cause = dataclasses.replace(CAUSES[0], form="ebpf")
    for event in (BeatStarted(beat=DUET, forms=FORMS), other, OFF, cause, MISSED, AGAIN):
        audience.add(event)
    sees(audience.tab, "Sentence of noisy host. (CPU per request of ebpf was 30 ms)")


def test_requests_that_failed_stand_in_the_row_of_their_form(audience: Audience) -> None:
    window = Window(
        at_ms=500, form="ebpf", number=1, rate_rps=20.0, p50_ms=4.0, p99_ms=9.0, done=480, errors=480,
        spans_wanted=4800, spans_seen=2900,
    )  # fmt: skip
    audience.add(BeatStarted(beat=DUET, forms=FORMS))
    audience.add(window)
    audience.add(dataclasses.replace(window, form="baseline", errors=7, spans_wanted=0, spans_seen=0))
    audience.add(dataclasses.replace(window, form="orchestrion-otel", errors=0))
    told = sees(audience.tab, "480 failed, 2900 of 4800", "7 requests failed", "2900 of 4800")
    assert told.count("failed") == 2
    assert audience.tab.locator(".meter:visible").count() == 1
    fits = "() => [...document.querySelectorAll('.spans.failed .n')].every((n) => n.scrollWidth <= n.clientWidth)"
    assert audience.tab.evaluate(fits)


@pytest.mark.parametrize("passes", [True, False])
def test_it_goes_when_an_attempt_passes_or_another_beat_begins(audience: Audience, *, passes: bool) -> None:
    fails(audience)
    audience.add(AGAIN)
    sees(audience.tab, "Sentence of noisy host.")
    audience.add(dataclasses.replace(MISSED, outcome="passed") if passes else BeatStarted(beat=DUET + 1))
    audience.tab.wait_for_function("() => !document.body.innerText.includes('Sentence of')", timeout=SETTLED)


@pytest.mark.parametrize(("of_show", "clock"), [("real", "counted"), ("counted", "real"), ("counted", "")])
def test_a_time_has_the_unit_of_the_machine_that_plays(
    chromium: Browser, of_show: Literal["real", "counted"], clock: Literal["", "real", "counted"]
) -> None:
    audience = Audience(chromium)
    try:
        start = records()[0].event
        assert isinstance(start, ShowStarted)
        audience.add(dataclasses.replace(start, clock=of_show))
        audience.add(BeatStarted(beat=ATTACH, forms=("baseline",), machine="two", clock=clock))
        audience.add(AgentAttached(at_ms=1, form="baseline", attach_s=1.5))
        counts = (clock or of_show) == "counted"  # a recording of before has the show's alone
        told = sees(audience.tab, "attached in 1.50 simulated s" if counts else "attached in 1.50 s")
        assert ("counts instructions" in told) == counts
    finally:
        audience.close()
    assert audience.complaints == []
