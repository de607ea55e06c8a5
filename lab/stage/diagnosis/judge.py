"""ON, A BIT OFF, OFF or NO BASELINE: one value against what the rehearsals gave.

The interval is Student's prediction interval for one more rehearsal, as wide as it takes for all values of a show at
once (Bonferroni, which needs no independence: values of one moment move together). At SHOW, with normal noise, at most
one clean show in twenty has a value outside. OFF is farther from the usual than matters in practice, and outside in two
windows one after the other (with heavy tails one window is not enough); where there is one only, outside at SURE.
Positive quantities go by their logarithm. Five rehearsals know little of a spread: a form that seems to vary less than
the others in that figure has half of its variance from all of them; one that varies more keeps its own, which is how
the promise holds where forms differ in noise. A count is held to its own rehearsals alone: the spans that one form may
miss say nothing of another's. `python -m tests.simulate.shows` prints how often a clean show is called off.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median, variance
from typing import Final, NamedTuple

from lab.model.metrics import METRICS
from lab.stage.diagnosis.student import two_sided
from lab.stage.history.ledger import Rehearsal
from lab.stage.stream.events import SIMULATED, Judgement, Value

SHOW: Final = 0.05
SURE: Final = 0.01
FEWEST: Final = 3
THRESHOLD_PCT: Final = 5.0
LEAST_PCT: Final = {"rss_mib": 15.0}  # the heap of a program that has just run for a while moves in steps
COUNTS: Final = frozenset({"spans", "requests", "errors", "files", "lines", "probes", ""})  # "": an exit code
SHARES: Final = frozenset({"%"})
TIMES: Final = "×"
MANY: Final = 20  # of a count: one of them is within what matters in practice
LARGEST: Final = math.log(1e15)  # of an interval's end, as a logarithm: a take may hold it
WIDEST: Final = 10.0  # high ÷ low of an interval that still says something
STEP: Final = 0.001  # of its usual value: what three digits on a screen do not show of a quantity
LEAST_STEP: Final = 0.01  # of a quantity that is usually zero, which has no share to go by
# of figures that stand for one of the verdict's metrics: their practical threshold is that metric's
METRIC_OF: Final[dict[str, str]] = {
    "cpu_per_request": "cpu_s_per_1k_requests",
    "instructions_per_request": "instructions_per_request",
    "latency_p50": "latency_p50_ms",
    "latency_p90": "latency_p90_ms",
    "latency_p99": "latency_p99_ms",
    "rss": "rss_mib",
}


class FigureKey(NamedTuple):
    """Which figure of the show: beat id, name, form ("" for none), and whether its ratio to the twin is meant."""

    beat: str
    name: str
    form: str
    ratio: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualRange:
    """Where one more rehearsal lies, in the value's unit, and the median of those that were."""

    low: float
    high: float
    usual: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class PastValues:
    """What one figure was in the rehearsals. `spread` is of its logarithm where `logs`; `step`: what it is read in;
    `least`: what none of its kind is below."""

    values: tuple[float, ...]
    logs: bool
    step: float
    spread: float
    freedom: int
    least: float = -math.inf

    def interval(self, alpha: float) -> UsualRange:
        """Where one more lies, wrong with probability `alpha`; never narrower than a step."""
        usual = median(self.values)
        middle = fmean(math.log(value) if self.logs else value for value in self.values)
        half = two_sided(alpha, self.freedom) * self.spread * math.sqrt(1 + 1 / len(self.values))
        low, high = middle - half, middle + half
        if self.logs:
            low, high = math.exp(low), math.exp(min(high, LARGEST))
        low = max(min(low, usual - self.step), self.least)
        return UsualRange(low=low, high=max(high, usual + self.step), usual=usual)


def ranges(kin: Sequence[Sequence[float]], unit: str) -> list[PastValues]:
    """Of the same figure in each of several forms, at least two values each."""
    logs = [unit not in COUNTS | SHARES and all(value > 0 for value in values) for values in kin]
    own = [
        variance([math.log(v) for v in values] if by_log else list(values))
        for values, by_log in zip(kin, logs, strict=True)
    ]
    found = []
    for values, by_log, one in zip(kin, logs, own, strict=True):
        # a form with a zero has another scale than the rest
        alike = [one] if unit in COUNTS else [other for other, same in zip(own, logs, strict=True) if same == by_log]
        spread, gain = _spread(one, alike)
        found.append(
            PastValues(
                values=tuple(values),
                logs=by_log,
                step=_step(median(values), unit),
                spread=spread,
                freedom=int((len(values) - 1) * gain),
                least=0.0 if min(values) >= 0 else -math.inf,
            )
        )
    return found


def _spread(own: float, alike: Sequence[float]) -> tuple[float, float]:
    """A figure's spread by its own variance and that of all forms, and the gain of degrees of freedom by what is
    pooled (Satterthwaite, for forms that are as noisy as each other). Nothing is taken off a form that is noisier."""
    pooled, k = fmean(alike), len(alike)
    if own > pooled:
        return math.sqrt(own), 1.0
    return math.sqrt((own + pooled) / 2), min(2.0, 4 * k / (k + 3))


def _step(usual: float, unit: str) -> float:
    """What a value of this size may differ by without meaning anything: one of many, none of a few."""
    if unit in COUNTS:
        return 0.5 if usual < MANY else 1.0
    return STEP * abs(usual) or LEAST_STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What the rehearsals that count gave, figure by figure."""

    ranges: Mapping[FigureKey, PastValues] = field(default_factory=dict)
    thresholds_pct: Mapping[str, float] = field(default_factory=dict)  # by the verdict's metric

    def judged(self, beat: str, value: Value, first: Value | None = None) -> Value:
        """The value with its judgement and its interval: those of its ratio, carried to the value's unit by the twin of
        this moment, unless its own are worse. first: the same value in the window before; a count has no need of it:
        what is lost is no noise."""
        if value.unit in SIMULATED.values():
            return value
        key = FigureKey(beat, value.name, value.form)
        if key not in self.ranges or self._vague(key):
            return replace(value, judged="no baseline")
        first = None if value.unit in COUNTS else first
        worst, of, times = self.word(key, value.value, first.value if first else None), self.interval(key), 1.0
        beside, by_ratio = key._replace(ratio=True), False
        if value.ratio and beside in self.ranges:
            word = self.word(beside, value.ratio, first.ratio if first else None)
            if by_ratio := WORSE[word] >= WORSE[worst]:
                worst, of, times = word, self.interval(beside), value.value / value.ratio
        low, high, usual_ = (times * edge for edge in (of.low, of.high, of.usual))
        return replace(value, judged=worst, low=low, high=high, usual=usual_, by_ratio=by_ratio)

    def _vague(self, key: FigureKey) -> bool:
        """Whether the rehearsals were so far apart that their interval says nothing: a build beside other builds.
        Where they agree on the ratio, that says something."""
        of = self.interval(key)
        return self.ranges[key].logs and of.high > WIDEST * of.low and key._replace(ratio=True) not in self.ranges

    def doubt(self, beat: str, values: Iterable[Value]) -> Value | None:
        """A quantity that is outside, and matters: a second window has to tell noise from a change. None also where a
        count is off: what is lost is no noise."""
        found = None
        for value in values:
            key = FigureKey(beat, value.name, value.form)
            off = any(
                number is not None and one in self.ranges and self.outside(one, number) and self.matters(one, number)
                for one, number in ((key, value.value), (key._replace(ratio=True), value.ratio))
            )
            if off and value.unit in COUNTS:
                return None
            found = found or (value if off else None)
        return found

    def interval(self, key: FigureKey, alpha: float = SHOW) -> UsualRange:
        """At 1 - alpha for all figures of the show together. One that never changed takes no part in it: its interval
        is a step, whatever alpha is."""
        return self.ranges[key].interval(alpha / max(1, sum(of.spread > 0 for of in self.ranges.values())))

    def outside(self, key: FigureKey, value: float, alpha: float = SHOW) -> int:
        """-1 below, 1 above, 0 inside."""
        of = self.interval(key, alpha)
        return (value > of.high) - (value < of.low)

    def matters(self, key: FigureKey, value: float) -> bool:
        """Whether it is farther from the usual than the practical threshold."""
        usual = self.interval(key).usual
        return abs(value - usual) > abs(usual) * threshold_pct(key.name, self.thresholds_pct) / 100

    def word(self, key: FigureKey, value: float, first: float | None = None) -> Judgement:
        """What a value of this figure is called. With the window before it at hand, it is OFF when both are outside
        on the same side: noise that comes and goes, however heavy its tails, does that seldom."""
        side = self.outside(key, value)
        if not side:
            return "on"
        sure = self.outside(key, value, SURE) if first is None else self.outside(key, first) == side
        return "off" if sure and self.matters(key, value) else "a bit off"


WORSE: Final[dict[Judgement, int]] = {"": 0, "no baseline": 0, "on": 0, "a bit off": 1, "off": 2}


def usual(rehearsals: Iterable[Rehearsal], thresholds_pct: Mapping[str, float] | None = None) -> Usual:
    """Of those that count (`ledger.clean_ones`); a figure that fewer than FEWEST of them have has no baseline."""
    found: dict[FigureKey, list[float]] = {}
    units: dict[FigureKey, str] = {}
    for rehearsal in rehearsals:
        for figure in rehearsal.figures:
            if figure.unit in SIMULATED.values():
                continue
            for value, ratio in ((figure.value, False), (figure.ratio, True)):
                if value is not None:
                    key = FigureKey(figure.beat, figure.name, figure.form, ratio)
                    found.setdefault(key, []).append(value)
                    units[key] = TIMES if ratio else figure.unit
    kin: dict[tuple[str, str, str, bool], list[FigureKey]] = {}
    for key, values in found.items():
        if len(values) >= FEWEST:
            kin.setdefault((key.beat, key.name, units[key], key.ratio), []).append(key)
    return Usual(
        ranges={
            key: of
            for (_, _, unit, _), keys in kin.items()
            for key, of in zip(keys, ranges([found[key] for key in keys], unit), strict=True)
        },
        thresholds_pct=thresholds_pct or {},
    )


def threshold_pct(name: str, given: Mapping[str, float]) -> float:
    """The change that is too small to matter, in per cent."""
    metric = METRIC_OF.get(name, name)
    known = METRICS[metric].threshold_pct if metric in METRICS else THRESHOLD_PCT
    return given.get(metric, max(known, LEAST_PCT.get(metric, 0.0)))
