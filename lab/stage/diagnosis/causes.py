"""Why a value is off: the table of causes, ranked by how far each one's signal is outside its own rehearsed range.

A signal that was not rehearsed is held to a limit that no quiet machine reaches. A cause that follows from another one
that is seen too is left out, unless it is a fact: a host that takes CPU away also makes sends late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
    """One cause. `hides`: what follows from it, all further down the table. `about`: the kinds of values that it can
    move."""

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
    kept: list[tuple[Rule, Outside]] = []
    for rule in RULES:
        seen = _applies(rule, scene)
        if seen is not None and (seen.fact or not any(rule.name in other.hides for other, _ in kept)):
            kept.append((rule, seen))
    kept.sort(key=lambda pair: -pair[1].excess)
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
    if value.unit == "spans":
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
    """That all ratios to the twin are as rehearsed, with the largest of what is off or of its kind; "" when one is not,
    or when an off value's own was never rehearsed."""
    off = scene.off
    kinds, ratios = {kind(value) for value in off}, []
    for value in scene.values:
        key = FigureKey(scene.beat, value.name, value.form, ratio=True)
        if value.ratio is None:
            continue
        if key not in scene.usual.ranges:
            if value in off:
                return ""
            continue
        of = scene.usual.interval(key)
        if not of.holds(value.ratio):
            return ""
        if kind(value) in kinds and (beside := _reference(scene, value)):
            ratios.append((value in off, value.ratio, value, beside, of))
    if not ratios:
        return ""
    _, ratio, value, beside, of = max(ratios, key=lambda one: one[:2])
    return (
        f"the comparison still stands: {value.title} of {value.form} is {ratio:.2f} times that of {beside}"
        f" ({of.low:.2f} to {of.high:.2f} in rehearsal)"
    )


def _reference(scene: Observations, value: Value) -> str:
    """The form that a value is compared with: the one that has no ratio itself."""
    forms = [one.form for one in scene.values if one.name == value.name and one.ratio is None]
    return forms[0] if len(forms) == 1 else ""


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
    """An agent that ended, or spans that began late in a form that has one."""
    ended = [how for how in scene.now.ended if how.startswith("agent")]
    if ended:
        return Outside(excess=CERTAIN, evidence=f"the {ended[0]}", fact=True)
    having = {form for signals in (scene.now, *scene.rehearsed) for form in signals.agents}
    silent_s = {form: seconds for form, seconds in scene.now.silent_s.items() if form in having}
    return outside(replace(scene, now=replace(scene.now, silent_s=silent_s)), "silent_s")


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
LATE: Final = ("load generator", "warm-up", "not attached")  # what being busy looks like
RULES: Final = (
    Rule(name="version drift", finds=_changed, sentence="This is a different tool than in rehearsal."),
    Rule(name="wrong binary", finds=_wrong_binary, sentence="This is not the form you think it is."),
    Rule(
        name="clock",
        finds=_signal("clock_step_ms"),
        sentence="The machine's clock jumped; the times of this beat mean nothing.",
        hides=("warm-up", "load generator", "throttled", "dropped spans", "context lost"),
        about=("time", "spans"),
    ),
    Rule(
        name="noisy host",
        finds=_signal("steal", "host_others", "host_waited"),
        sentence="The host took CPU away",
        hides=("throttled", "background work", *LATE),
        about=BUSIED,
        shared=True,
    ),
    Rule(
        name="background work",
        finds=_busy,
        sentence="Something else ran",
        hides=("throttled", *LATE),
        about=BUSIED,
        shared=True,
    ),
    Rule(
        name="throttled",
        finds=_signal("throttled", "sentinel_ms"),
        sentence="The laptop throttled",
        hides=LATE,
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
