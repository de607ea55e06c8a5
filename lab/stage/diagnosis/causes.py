"""Why a value is off: the table of causes, ranked by how far each one's signal is outside its own rehearsed range.

A signal that was not rehearsed is held to a limit that no quiet machine reaches. A cause that follows from another one
that is seen too is left out: a host that takes CPU away also makes sends late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from lab.stage.beat.signals import Signals
from lab.stage.diagnosis.judge import FigureKey, Usual
from lab.stage.diagnosis.outside import CERTAIN, SCALES, Outside, beyond
from lab.stage.stream.events import Cause, Value

SHOWN: Final = 3
Kind = Literal["time", "work", "memory", "spans"]
NONE: Final = "No cause found."


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
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
class Rule:
    """One cause. `hides`: what follows from it. `about`: the kinds of values that it can move."""

    name: str
    finds: Callable[[Observations], Outside | None]
    sentence: str
    hides: tuple[str, ...] = ()
    about: tuple[Kind, ...] = ("time", "work", "memory", "spans")
    shared: bool = False  # it strikes all forms alike, so that a ratio may stand


def explain(scene: Observations) -> tuple[Cause, ...]:
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
            value=_explained(rule, seen, off),
        )
        for rule, seen in kept[:SHOWN]
    ]
    return tuple(causes) or (
        Cause(at_ms=at_ms, name="", evidence=_rehearsed(off[0]), sentence=NONE, value=off[0].name),
    )


def _applies(rule: Rule, scene: Observations) -> Outside | None:
    if scene.off and not any(kind(value) in rule.about for value in scene.off):
        return None
    return rule.finds(scene)


def kind(value: Value) -> Kind:
    """What a value is about."""
    if "span" in value.name or value.unit == "spans":
        return "spans"
    if value.unit == "MiB":
        return "memory"
    return "work" if value.name.startswith(("cpu", "instructions")) else "time"


def _explained(rule: Rule, seen: Outside, off: Sequence[Value]) -> str:
    """The worst value that this cause can have moved."""
    fit = [value for value in off if kind(value) in rule.about]
    return next((value.name for value in fit if seen.form in {"", value.form}), fit[0].name if fit else "")


def _rehearsed(value: Value) -> str:
    """Today's figure beside the rehearsed interval."""
    whose = f" of {value.form}" if value.form else ""
    if value.low is None or value.high is None:
        return f"{value.title}{whose}: {value.value:.3g} {value.unit}, never rehearsed"
    return f"{value.title}{whose}: {value.value:.3g} {value.unit}; {value.low:.3g} to {value.high:.3g} in rehearsal"


def _sentence(rule: Rule, scene: Observations) -> str:
    if not rule.shared:
        return rule.sentence
    stands = comparison(scene)
    return f"{rule.sentence}; {stands or 'we run it once more'}."


def comparison(scene: Observations) -> str:
    """That all ratios to the twin are as rehearsed, with the largest; "" when one is not."""
    ratios = []
    for value in scene.values:
        key = FigureKey(scene.beat, value.name, value.form, ratio=True)
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


def outside(scene: Observations, name: str) -> Outside | None:
    """A signal of the whole beat, or of the form that it is worst in, where it is beyond its range."""
    now, before = getattr(scene.now, name), [getattr(signals, name) for signals in scene.rehearsed]
    if not isinstance(now, dict):
        return beyond(SCALES[name], now, before)
    concerned = {value.form for value in scene.off} - {""}
    found = [
        beyond(SCALES[name], value, [old.get(form) for old in before], form)
        for form, value in now.items()
        if not concerned or form in concerned
    ]
    return max(filter(None, found), key=lambda one: one.excess, default=None)


def _signal(*names: str) -> Callable[[Observations], Outside | None]:
    """The one of these signals that is farthest outside."""
    return lambda scene: max(
        filter(None, (outside(scene, name) for name in names)), key=lambda one: one.excess, default=None
    )


def _busy(scene: Observations) -> Outside | None:
    """Other programs by what they use, or by how long ours waited for them; a quota makes ours wait too."""
    quota = outside(scene, "throttled")
    return _signal(*(("others",) if quota else ("others", "waited")))(scene)


def _not_attached(scene: Observations) -> Outside | None:
    """An agent that ended, or spans that began late."""
    ended = [how for how in scene.now.ended if how.startswith("agent")]
    return Outside(excess=CERTAIN, evidence=f"the {ended[0]}") if ended else outside(scene, "silent_s")


def _wrong_binary(scene: Observations) -> Outside | None:
    for form, builds in scene.now.builds.items():
        known = {build for signals in scene.rehearsed for build in signals.builds.get(form, ())}
        if known and (other := [build for build in builds if build not in known]):
            evidence = f"{form} answers as build {_short(other[0])}; {_short(min(known))} in rehearsal"
            return Outside(excess=CERTAIN, evidence=evidence)
    return None


def _short(build: str) -> str:
    return build if len(build) <= 24 else f"{build[:20]}…"


def _changed(scene: Observations) -> Outside | None:
    return Outside(excess=CERTAIN, evidence="; ".join(scene.changed)) if scene.changed else None


BUSIED: Final[tuple[Kind, ...]] = ("time", "work")
BUSY: Final = ("throttled", "load generator", "warm-up", "background work")
RULES: Final = (
    Rule(name="version drift", finds=_changed, sentence="This is a different tool than in rehearsal."),
    Rule(name="wrong binary", finds=_wrong_binary, sentence="This is not the form you think it is."),
    Rule(
        name="clock",
        finds=_signal("clock_step_ms", "clock_offset_ms"),
        sentence="The machine's clock jumped; the times of this beat mean nothing.",
        hides=("warm-up", "load generator", "throttled", "dropped spans", "context lost"),
        about=("time", "spans"),
    ),
    Rule(
        name="noisy host",
        finds=_signal("steal", "host_others", "host_waited"),
        sentence="The host took CPU away",
        hides=BUSY,
        about=BUSIED,
        shared=True,
    ),
    Rule(
        name="background work",
        finds=_busy,
        sentence="Something else ran",
        hides=BUSY[:3],
        about=BUSIED,
        shared=True,
    ),
    Rule(
        name="throttled",
        finds=_signal("throttled", "sentinel_ms"),
        sentence="The laptop throttled",
        hides=BUSY[1:3],
        about=BUSIED,
        shared=True,
    ),
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
        about=("spans",),
    ),
    Rule(
        name="dropped spans",
        finds=_signal("spans"),
        sentence="The requests are fine, spans were dropped.",
        about=("spans",),
    ),
    Rule(
        name="load generator",
        finds=_signal("late"),
        sentence="We measured the load tool.",
        hides=("warm-up",),
        about=("time",),
    ),
    Rule(
        name="warm-up",
        finds=_signal("trend"),
        sentence="We measured too early; we run it once more.",
        about=BUSIED,
    ),
)
