"""How far a signal is outside its own rehearsed range, in words with numbers and units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from lab.stage.diagnosis.judge import FEWEST, ranges

SURE: Final = 0.05  # of a signal's own interval: it is looked at when a value is off already
CERTAIN: Final = 100.0  # excess of what is a fact, not a quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How one signal is read. `least`: the distance from the usual that is never outside, however quiet the rehearsals
    were; `by`: the same as a share of the usual. `rest`: the usual where nothing was rehearsed; None: then it tells
    nothing. `low`: it is outside below, not above."""

    title: str
    text: Callable[[float], str]
    least: float = 0.0
    by: float = 0.0
    rest: float | None = 0.0
    low: bool = False


def _percent(value: float) -> str:
    return f"{value * 100:.0f} %" if value >= 0.1 else f"{value * 100:.1f} %"


def _ms(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.2g} ms"


def _s(value: float) -> str:
    return f"{value:.1f} s"


SCALES: Final[dict[str, Scale]] = {
    "steal": Scale(title="CPU that the host took", text=_percent, least=0.03),
    "others": Scale(title="CPU used by other programs in the machine", text=_percent, least=0.10),
    "host_waited": Scale(title="the machine's wait for a CPU, for each second of work", text=_s, least=0.3, by=0.5),
    "host_others": Scale(title="CPU used by other programs on the host", text=_percent, least=0.15),
    "sentinel_ms": Scale(title="a fixed piece of work", text=_ms, by=0.25, rest=None),
    "throttled": Scale(title="CPU time that a quota held back", text=_percent, least=0.05),
    "waited": Scale(title="waiting for a CPU, for each second of work", text=_s, least=0.3, by=0.5),
    "late": Scale(title="requests sent late", text=_percent, least=0.05),
    "clock_step_ms": Scale(title="step of the machine's clock", text=_ms, least=20.0),
    "trend": Scale(
        title="first third's latency over the last third's", text=lambda v: f"{v:.2f}", least=0.25, rest=1.0
    ),
    "errors": Scale(title="requests that failed", text=_percent, least=0.02),
    "spans": Scale(title="spans received", text=_percent, least=0.02, rest=1.0, low=True),
    "silent_s": Scale(title="time without a span", text=_s, least=0.6),
    "parents": Scale(title="spans without their parent", text=_percent, least=0.02),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A signal beyond its range: 1 is its edge. `form`: where it is one form's. `fact`: nothing else explains it.
    `sentence`: what is said of it in place of its cause's."""

    excess: float
    evidence: str
    form: str = ""
    fact: bool = False
    sentence: str = ""


def beyond(scale: Scale, now: float | None, before: Sequence[float | None], form: str = "") -> Outside | None:
    """How far a signal is outside of what it was before; None where it is inside, or nothing is known."""
    known = [value for value in before if value is not None]
    usual = median(known) if known else scale.rest
    if now is None or usual is None:
        return None
    sign = -1.0 if scale.low else 1.0
    least = max(scale.least, scale.by * abs(usual))
    if not least:  # a usual of zero has no share that a distance could be
        return None
    room = max((least, *(sign * (value - usual) for value in known)))
    if len(known) >= FEWEST:
        of = ranges([known], "%")[0].interval(SURE)
        room = max(room, usual - of.low if scale.low else of.high - usual)
    excess = min(sign * (now - usual) / room, CERTAIN)
    if excess <= 1:
        return None
    whose = f" of {form}" if form else ""
    was = f"{scale.text(min(known))} to {scale.text(max(known))} in rehearsal" if known else "never rehearsed"
    return Outside(excess=excess, evidence=f"{scale.title}{whose}: {scale.text(now)}; {was}", form=form)
