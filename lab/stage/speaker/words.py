"""One event as one line of words: for the speaker's terminal and for plain lines."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

from lab.model import figures
from lab.stage.beat.form_names import mechanism
from lab.stage.beat.signals import MEASURED
from lab.stage.diagnosis.judge import COUNTS
from lab.stage.stream.events import (
    SIMULATED,
    AgentAttached,
    Cause,
    Curtain,
    Health,
    Judgement,
    Pillar,
    RequestDone,
    StageEvent,
    Value,
    Window,
)

Line = tuple[tuple[str, str], ...]  # of (text, style of the terminal's theme)
DIM: Final = "$text-muted"
WORDS: Final[dict[Judgement, tuple[str, str]]] = {
    "on": ("● ON", "bold $text-success"),
    "a bit off": ("△ A BIT OFF", "bold $text-warning"),
    "off": ("✕ OFF", "bold $text-error"),
    "no baseline": ("– NO BASELINE", "$text-muted"),
    "": ("", ""),
}


def number(value: Value, of: float) -> str:
    """Three figures; a count as what it is."""
    return f"{of:,.0f}" if value.unit in COUNTS and of == int(of) else figures.amount(of)


def interval(value: Value) -> str:
    """The rehearsed interval of a value that has one: of a count the whole numbers in it."""
    low, high = value.low or 0.0, value.high or 0.0
    if value.unit in COUNTS and math.ceil(low) <= math.floor(high):
        low, high = math.ceil(low), math.floor(high)
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{figures.amount(low)} to {figures.amount(high)}"


def value_line(value: Value) -> Line:
    """A figure with its judgement, its ratio and its rehearsed interval."""
    word, style = WORDS[value.judged]
    form = f" {value.form}" if value.form else ""
    ratio = f"  {figures.amount(value.ratio)} ×" if value.ratio is not None else ""
    known = value.low is not None and value.high is not None
    span = f"  rehearsed {interval(value)}" if known else ""
    figure = f"{number(value, value.value)} {value.unit}".rstrip()
    return ((f"{word:<12}", style), (f" {value.title}{form}: ", ""), (figure, "bold"), (ratio, ""), (span, DIM))


def lines(event: StageEvent, *, counted: bool) -> list[str]:
    """What happened in a beat. The end of a request says what came: nothing of its parts."""
    match event:
        case Value():
            found = ["".join(text for text, _ in value_line(event)).strip()]
        case RequestDone() | AgentAttached() | Window():
            found = [told(event, counted=counted)]
        case Pillar():
            found = [f"{event.pillar}, {cell.form}: {cell.words} ({cell.evidence})" for cell in event.cells]
        case Cause():
            found = [f"{event.name or 'no cause found'}: {event.evidence}", f"SAY: {event.sentence}"]
        case Health():
            found = [
                f"{'no machine' if event.machine == 'none' else f'machine {event.machine}'}, load {event.load:.1f}",
                *event.warnings,
            ]
        case Curtain():
            found = ["the page is black" if event.down else "the page shows again"]
        case _:
            found = []
    return found


def other_cause(cause: Cause) -> str:
    """A cause that is less likely than the one whose sentence is said."""
    return f"or {cause.name}: {cause.evidence}"


def bare(form: str) -> bool:
    """Whether no span is expected of this form, as far as its name says."""
    return mechanism(form) == "none"


def told(event: RequestDone | AgentAttached | Window, *, counted: bool = False) -> str:
    """What a form did. counted: the machine's clock counts instructions."""
    match event:
        case RequestDone():
            return f"{event.form}: {event.seen} of {event.wanted} spans"
        case AgentAttached():
            unit = SIMULATED["s"] if counted else "s"
            first = "" if event.first_span_s is None else f", first span after {event.first_span_s:.2f} {unit}"
            return f"{event.form}: attached in {event.attach_s:.2f} {unit}{first}"
    if event.errors:
        return f"{told(dataclasses.replace(event, errors=0), counted=counted)}, {event.errors:,} failed"
    spans = f", {event.spans_seen} of {event.spans_wanted} spans" if event.spans_seen or not bare(event.form) else ""
    used = event.instructions if counted else event.cpu_ms
    known = [used[role] for role in MEASURED if role in used]  # none before the first answer
    each = f"{figures.amount(sum(known))} {'million' if counted else 'ms'}" if known else "–"
    if counted:
        return f"{event.form}: {event.done} requests, {each} instructions each{spans}"
    p50 = "–" if event.p50_ms is None else f"{figures.amount(event.p50_ms)} ms"
    rate = "waiting for spans" if event.draining else f"{event.rate_rps:.0f}/s, {p50}"
    return f"{event.form}: {rate}, CPU {each}{spans}"
