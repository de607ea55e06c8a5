"""The sentence to say stays on the speaker's screen, however much else there is to tell."""

from __future__ import annotations

import asyncio
import threading

import pytest

from lab.stage.speaker.app import Screen, Speaker
from lab.stage.speaker.room import GIVES, fitted, shortened
from lab.stage.stream import events
from lab.stage.stream.records import Score

FORMS = ("baseline", "orchestrion-otel", "ebpf")
SENTENCE = (
    "The host took CPU away; the comparison still stands: CPU per request of orchestrion-otel is 1.23 times that of"
    " baseline (1.10 to 1.30 in rehearsal)."
)
OFF = "{} of {} is 12.3 ms, rehearsed 10.1 to 11.2"
VALUES = ("median latency", "CPU per request", "memory", "spans")
REASONS = [OFF.format(title, form) for title in VALUES for form in FORMS]


class Show(Score):
    """A stage that hears no key."""

    def act(self, action: str, argument: str = "") -> None:
        del action, argument


def a_show(reasons: int) -> Show:
    """A beat that has ended with so many values off, and all else that the terminal tells."""
    show = Show()
    beats = tuple(
        events.BeatCard(id=f"b{at}", title=f"Beat number {at}", kind="load", budget_s=150, cut=[0, 5, 8][at % 3])
        for at in range(11)
    )
    some: list[events.StageEvent] = [
        events.ShowStarted(
            title="T", beats=beats, slot_s=480, cuts_min=(5.0, 3.0), forms=FORMS, source="live", machine="lab"
        ),
        events.Notes(beat=5, text="Read the ratios aloud.\n" * 9, expects=("what was rehearsed",)),
        events.BeatStarted(beat=5, forms=FORMS),
    ]
    some += [
        events.Value(
            at_ms=9, name=title, title=title, value=12.34, unit="ms", form=form, judged="off", low=10.1, high=11.2
        )
        for title in VALUES
        for form in FORMS
    ]
    some += [
        events.Cause(
            at_ms=1,
            name="noisy host",
            evidence="the machine's wait for a CPU, for each second of work: 1.2 s; 0.0 s to 0.1 s in rehearsal",
            sentence=SENTENCE,
            value="memory",
        ),
        events.BeatEnded(beat=5, outcome="missed", seconds=28.2, reason="; ".join(REASONS[:reasons])),
        events.Health(load=1.2, machine="up", battery=0.4, warnings=("on battery", "load 1.2 per CPU")),
        events.Remark(text=f"the show waits for a key: {'; '.join(REASONS)}", level="warning"),
    ]
    for event in some:
        show.add(event)
    return show


def screen(show: Show, width: int, height: int) -> list[str]:
    async def read() -> list[str]:
        app = Speaker(show, Screen(address=lambda: "http://127.0.0.1:41234/#token"), cancel=threading.Event())
        async with app.run_test(size=(width, height)) as pilot:
            await pilot.pause(0.4)
            strips = app.screen._compositor.render_strips()
            return ["".join(part.text for part in strip).strip() for strip in strips]

    return asyncio.run(read())


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 30), (40, 10), (100, 28), (200, 60)])
@pytest.mark.parametrize("reasons", [1, 3, 12])
def test_the_sentence_and_what_comes_next_are_whole(width: int, height: int, reasons: int) -> None:
    lines = screen(a_show(reasons), width, height)
    told = " ".join(lines)
    assert f"SAY: {SENTENCE}" in told
    assert "NOT SEEN: median latency of baseline" in told
    assert "Beat number 5" in told
    if height >= 24:
        for wanted in ("next: Beat number 6", "health: machine up", "space next", "the show waits for a key"):
            assert wanted in told
    if reasons == 12 and width < 200:
        assert " more" in told
        first = next(at for at, line in enumerate(lines) if "NOT SEEN" in line)
        assert " more" in " ".join(lines[first : first + 2]), "two lines at most"


def test_a_reason_is_cut_between_its_parts() -> None:
    assert shortened("a; b; c", lambda _: True) == "a; b; c"
    assert shortened("aaaa; bbbb; cccc", lambda text: len(text) <= 15) == "aaaa and 2 more"
    assert shortened("a" * 90, lambda text: len(text) <= 30) == "a" * 28 + "…"
    assert shortened("a" * 90 + "; b", lambda text: len(text) <= 30).endswith("… and 1 more")
    assert shortened("a" * 1000, lambda _: False) == "…"


def test_a_hundred_reasons_are_cut_by_a_few_looks() -> None:
    """Each look lays the text out, on every draw of the screen."""
    looked: list[str] = []

    def fits(text: str) -> bool:
        looked.append(text)
        return len(text) <= 60

    assert shortened("; ".join(f"reason {at}" for at in range(100)), fits).endswith("reason 4 and 95 more")
    assert len(looked) < 10


def test_lines_are_given_up_in_their_order() -> None:
    blocks = {name: [((f"{name} {at}", ""),) for at in range(3)] for name in dict(GIVES)}
    blocks["say"] = [(("SAY", ""),)]
    whole = sum(map(len, blocks.values()))
    assert fitted(blocks, lambda *_: 1, whole) == blocks
    less = fitted(blocks, lambda *_: 1, whole - 7)
    assert less["others"] == less["beats"] == []
    assert [len(less["seen"]), len(less["remarks"])] == [2, 3]
    assert fitted(blocks, lambda *_: 1, 0) == {name: blocks["say"] if name == "say" else [] for name in blocks}
