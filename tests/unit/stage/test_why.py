"""The cause that the speaker and the audience are told: the likeliest, until it no longer holds."""

from __future__ import annotations

import dataclasses

import pytest

from lab.cli.stage.plain import Lines
from lab.stage.speaker.desk import Desk
from lab.stage.stream.events import BeatCard, BeatEnded, BeatStarted, Cause, ShowStarted, StageEvent, Value
from lab.stage.stream.records import StageRecord

CARD = BeatCard(id="duet", title="Duet", kind="load", budget_s=20)
SHOW = ShowStarted(title="T", beats=(CARD, CARD), slot_s=60, forms=("ebpf",), source="live", machine="m")
OFF = Value(
    at_ms=1, name="cpu_per_request", title="CPU per request", value=30.0, unit="ms", form="ebpf", judged="off",
    low=9.0, high=11.0,
)  # fmt: skip
HOST, WARM, SENDS = (
    Cause(at_ms=2, name=name, evidence=f"seen {name}", sentence=f"Sentence of {name}.", value="cpu_per_request")
    for name in ("noisy host", "warm-up", "late sends")
)
MISSED = BeatEnded(beat=0, outcome="missed", seconds=1.0)
FIRST: tuple[StageEvent, ...] = (SHOW, BeatStarted(beat=0), OFF, HOST, WARM, SENDS, MISSED)


def told(*some: StageEvent, private: bool = True, more: int = 2) -> str:
    desk = Desk()
    for seq, event in enumerate(some, start=1):
        desk.note(StageRecord(seq=seq, at_s=float(seq), event=event))
    lines = [*desk.why(private=private), *desk.say(), *(desk.others(more) if private else [])]
    return "\n".join("".join(text for text, _ in line) for line in lines)


def test_the_likeliest_cause_is_said_and_the_others_stand_below_where_there_is_room() -> None:
    assert told(*FIRST, more=0).splitlines() == ["noisy host: seen noisy host", "SAY: Sentence of noisy host."]
    assert told(*FIRST).splitlines()[2:] == ["or warm-up: seen warm-up", "or late sends: seen late sends"]
    assert told(*FIRST, private=False) == "SAY: Sentence of noisy host."


def test_plain_lines_say_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(as_json=False)
    for seq, event in enumerate((*FIRST, BeatStarted(beat=0, attempt=2), WARM), start=1):
        lines(StageRecord(seq=seq, at_s=float(seq), event=event))
    out = capsys.readouterr().out
    assert [line.split("SAY: ")[1] for line in out.splitlines() if "SAY" in line] == [
        "Sentence of noisy host.",
        "Sentence of warm-up.",
    ]
    assert "or late sends: seen late sends" in out


@pytest.mark.parametrize("then", [BeatStarted(beat=0, attempt=2), BeatStarted(beat=0, recorded="2026-11-20")])
def test_a_cause_and_its_value_outlive_the_attempt(then: BeatStarted) -> None:
    found = told(*FIRST, then)
    assert "SAY: Sentence of noisy host." in found
    assert "before: ✕ OFF" in found
    assert "30.0 ms" in found
    assert "before:" not in told(*FIRST), "it stands among the values still"
    assert "SAY" in told(*FIRST, BeatStarted(beat=0, attempt=2), MISSED, then), "nothing new was found"
    assert told(*FIRST, then, WARM, more=0).splitlines()[-1] == "SAY: Sentence of warm-up."


def test_it_goes_when_an_attempt_passes_or_another_beat_begins() -> None:
    passed = dataclasses.replace(MISSED, outcome="passed")
    again = BeatStarted(beat=0, attempt=2)
    assert told(*FIRST, BeatStarted(beat=1)) == ""
    assert told(*FIRST, again, passed) == ""
    soft = (*FIRST[:-1], passed)
    assert "SAY" in told(*soft), "of the attempt that passed with a value a bit off"
    assert told(*soft, BeatStarted(beat=0, recorded="2026-11-20")) == ""


def test_a_value_of_the_form_that_the_cause_is_in_stands_beside_it() -> None:
    """The same figure of the baseline is off too, and came first."""
    baseline = dataclasses.replace(OFF, form="baseline")
    then = BeatStarted(beat=0, attempt=2)
    own = dataclasses.replace(HOST, form="ebpf")
    none = dataclasses.replace(HOST, value="", form="ebpf")
    start = (SHOW, BeatStarted(beat=0), baseline, OFF)
    assert "CPU per request ebpf" in told(*start, own, MISSED, then)
    assert "CPU per request" not in told(*start, none, MISSED, then)
    assert "CPU per request baseline" in told(*start, HOST, MISSED, then), "an earlier take names no form"
