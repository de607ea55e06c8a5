"""Why a value is off: the table of causes, ranked by how far each one's signal is outside its own rehearsed range.

A signal that was not rehearsed is held to a limit that no quiet machine reaches. A cause that follows from another one
that is seen too is left out: a host that takes CPU away also makes sends late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from lab.stage.events import Cause, Value
from lab.stage.judge import FEWEST, Key, Usual, ranges
from lab.stage.signals import Signals

SURE: Final = 0.01  # of a signal's own interval
CERTAIN: Final = 100.0  # excess of what is a fact, not a quantity
SHOWN: Final = 3
NONE: Final = "No cause found."


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
    "host_others": Scale(title="CPU used by other programs on the host", text=_percent, least=0.15),
    "sentinel_ms": Scale(title="a fixed piece of work", text=_ms, by=0.25, rest=None),
    "late": Scale(title="requests sent late", text=_percent, least=0.05),
    "clock_step_ms": Scale(title="step of the machine's clock", text=_ms, least=20.0),
    "clock_offset_ms": Scale(title="the machine's clock against the host's", text=_ms, least=500.0),
    "trend": Scale(
        title="first third's latency over the last third's", text=lambda v: f"{v:.2f}", least=0.25, rest=1.0
    ),
    "spans": Scale(title="spans received", text=_percent, least=0.02, rest=1.0, low=True),
    "first_span_s": Scale(title="first span after", text=_s, least=1.5),
    "parents": Scale(title="spans without their parent", text=_percent, least=0.02),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that is looked at: the judged values of a beat, its signals now and in the rehearsals that count."""

    beat: str
    values: Sequence[Value]
    now: Signals
    rehearsed: Sequence[Signals] = ()
    usual: Usual = field(default_factory=Usual)
    changed: tuple[str, ...] = ()  # inputs, as `inputs.differences` words them

    @property
    def off(self) -> list[Value]:
        """The worst first."""
        return [value for word in ("off", "a bit off") for value in self.values if value.judged == word]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A signal beyond its range: 1 is its edge. `form`: where it is one form's."""

    excess: float
    evidence: str
    form: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One cause. `hides`: what follows from it. `spans`: it says nothing about values that are not about spans."""

    name: str
    finds: Callable[[Scene], Outside | None]
    sentence: str
    hides: tuple[str, ...] = ()
    spans: bool = False
    shared: bool = False  # it strikes all forms alike, so that a ratio may stand


def explain(scene: Scene) -> tuple[Cause, ...]:
    """The causes that were seen, the likeliest first; the one without a name where none was. At most SHOWN."""
    off = scene.off
    if not off and not scene.changed:
        return ()
    found = {rule.name: (rule, seen) for rule in RULES if (seen := _applies(rule, scene)) is not None}
    hidden = {name for rule, _ in found.values() for name in rule.hides}
    kept = sorted((pair for name, pair in found.items() if name not in hidden), key=lambda pair: -pair[1].excess)
    at_ms = max((value.at_ms for value in scene.values), default=0.0)
    causes = [
        Cause(
            at_ms=at_ms,
            name=rule.name,
            evidence=seen.evidence,
            sentence=_sentence(rule, scene),
            value=next((value.name for value in off if seen.form in {"", value.form}), off[0].name if off else ""),
        )
        for rule, seen in kept[:SHOWN]
    ]
    return tuple(causes) or (
        Cause(at_ms=at_ms, name="", evidence=_rehearsed(off[0]), sentence=NONE, value=off[0].name),
    )


def _applies(rule: Rule, scene: Scene) -> Outside | None:
    if rule.spans and not any("span" in value.name or value.unit == "spans" for value in scene.off):
        return None
    return rule.finds(scene)


def _rehearsed(value: Value) -> str:
    """Today's figure beside the rehearsed interval."""
    whose = f" of {value.form}" if value.form else ""
    if value.low is None or value.high is None:
        return f"{value.title}{whose}: {value.value:.3g} {value.unit}, never rehearsed"
    return f"{value.title}{whose}: {value.value:.3g} {value.unit}; {value.low:.3g} to {value.high:.3g} in rehearsal"


def _sentence(rule: Rule, scene: Scene) -> str:
    if not rule.shared:
        return rule.sentence
    stands = comparison(scene)
    return f"{rule.sentence}; {stands or 'we run it once more'}."


def comparison(scene: Scene) -> str:
    """That all ratios to the twin are as rehearsed, with the largest; "" when one is not."""
    ratios = []
    for value in scene.values:
        key = Key(scene.beat, value.name, value.form, ratio=True)
        if value.ratio is not None and key in scene.usual.ranges:
            of = scene.usual.interval(key)
            if not of.holds(value.ratio):
                return ""
            ratios.append((value in scene.off, value.ratio, value, of))
    if not ratios:
        return ""
    _, ratio, value, of = max(ratios, key=lambda one: one[:2])
    return (
        f"the comparison still stands: {value.form} takes {ratio:.2f} times what the twin takes"
        f" ({of.low:.2f} to {of.high:.2f} in rehearsal)"
    )


def outside(scene: Scene, name: str) -> Outside | None:
    """A signal of the whole beat, or of the form that it is worst in, where it is beyond its range."""
    now, before = getattr(scene.now, name), [getattr(signals, name) for signals in scene.rehearsed]
    if not isinstance(now, dict):
        return _beyond(SCALES[name], now, before)
    concerned = {value.form for value in scene.off} - {""}
    found = [
        _beyond(SCALES[name], value, [old.get(form) for old in before], form)
        for form, value in now.items()
        if not concerned or form in concerned
    ]
    return max(filter(None, found), key=lambda one: one.excess, default=None)


def _beyond(scale: Scale, now: float | None, before: Sequence[float | None], form: str = "") -> Outside | None:
    known = [value for value in before if value is not None]
    usual = median(known) if known else scale.rest
    if now is None or usual is None:
        return None
    sign = -1.0 if scale.low else 1.0
    room = max(scale.least, scale.by * abs(usual), *(sign * (value - usual) for value in known))
    if len(known) >= FEWEST:
        of = ranges([known], "%")[0].interval(SURE)
        room = max(room, usual - of.low if scale.low else of.high - usual)
    excess = min(sign * (now - usual) / room, CERTAIN)
    if excess <= 1:
        return None
    whose = f" of {form}" if form else ""
    was = f"{scale.text(min(known))} to {scale.text(max(known))} in rehearsal" if known else "never rehearsed"
    return Outside(excess=excess, evidence=f"{scale.title}{whose}: {scale.text(now)}; {was}", form=form)


def _signal(*names: str) -> Callable[[Scene], Outside | None]:
    """The one of these signals that is farthest outside."""
    return lambda scene: max(
        filter(None, (outside(scene, name) for name in names)), key=lambda one: one.excess, default=None
    )


def _not_attached(scene: Scene) -> Outside | None:
    """An agent that ended, or spans that began late."""
    ended = [how for how in scene.now.ended if how.startswith("agent")]
    return Outside(excess=CERTAIN, evidence=f"the {ended[0]}") if ended else outside(scene, "first_span_s")


def _wrong_binary(scene: Scene) -> Outside | None:
    for form, builds in scene.now.builds.items():
        known = {build for signals in scene.rehearsed for build in signals.builds.get(form, ())}
        if known and (other := [build for build in builds if build not in known]):
            evidence = f"{form} answers as build {_short(other[0])}; {_short(min(known))} in rehearsal"
            return Outside(excess=CERTAIN, evidence=evidence)
    return None


def _short(build: str) -> str:
    return build if len(build) <= 24 else f"{build[:20]}…"


def _changed(scene: Scene) -> Outside | None:
    return Outside(excess=CERTAIN, evidence="; ".join(scene.changed)) if scene.changed else None


BUSY: Final = ("throttled", "load generator", "warm-up", "background work")
RULES: Final = (
    Rule(name="version drift", finds=_changed, sentence="This is a different tool than in rehearsal."),
    Rule(name="wrong binary", finds=_wrong_binary, sentence="This is not the form you think it is."),
    Rule(
        name="clock",
        finds=_signal("clock_step_ms", "clock_offset_ms"),
        sentence="The machine's clock jumped; the times of this beat mean nothing.",
        hides=("warm-up", "load generator", "throttled"),
    ),
    Rule(
        name="noisy host",
        finds=_signal("steal", "host_others"),
        sentence="The host took CPU away",
        hides=BUSY,
        shared=True,
    ),
    Rule(name="background work", finds=_signal("others"), sentence="Something else ran", hides=BUSY[:3], shared=True),
    Rule(name="throttled", finds=_signal("sentinel_ms"), sentence="The laptop throttled", hides=BUSY[1:3], shared=True),
    Rule(
        name="not attached",
        finds=_not_attached,
        sentence="The agent was not watching.",
        hides=("dropped spans", "context lost"),
    ),
    Rule(
        name="context lost",
        finds=_signal("parents"),
        sentence="There are spans, but no tree.",
        hides=("dropped spans",),
        spans=True,
    ),
    Rule(
        name="dropped spans",
        finds=_signal("spans"),
        sentence="The requests are fine, spans were dropped.",
        spans=True,
    ),
    Rule(name="load generator", finds=_signal("late"), sentence="We measured the load tool.", hides=("warm-up",)),
    Rule(name="warm-up", finds=_signal("trend"), sentence="We measured too early; we run it once more."),
)
