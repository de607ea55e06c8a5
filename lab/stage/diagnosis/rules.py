"""The table of causes: by which signal each is found, which values it moves to which side, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from lab.stage.diagnosis.observed import ABOVE, BELOW, EITHER, Kind, Observations, kind, rehearsed
from lab.stage.diagnosis.outside import CERTAIN, SCALES, Outside, beyond
from lab.stage.stream.events import Value

ALL: Final[Mapping[Kind, int]] = dict.fromkeys(("time", "work", "memory", "spans", "errors", "count"), EITHER)
WATCHED: Final[Mapping[Kind, int]] = {"time": EITHER, "work": EITHER, "memory": EITHER, "spans": BELOW}
BUSIED: Final[Mapping[Kind, int]] = {"time": ABOVE, "work": ABOVE}
LATE: Final = ("load generator", "warm-up", "not attached")  # what being busy looks like
SHOWN: Final = 2  # inputs that a sentence names


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One cause. `hides`: what follows from it in the same form, all further down the table. `after`: causes that it
    comes behind where one of them moved all forms alike. `moves`: the kinds of values that it can move, and to which
    side. `shows`: the kind of value that is off in each form that it struck; None: it struck the form that its signal
    is worst in. `sentence`: without its full stop."""

    name: str
    finds: Callable[[Observations], Outside | None]
    sentence: str
    hides: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    shows: Kind | None = None
    moves: Mapping[Kind, int] = field(default_factory=lambda: ALL)
    shared: bool = False  # it strikes all forms alike, so that a ratio may stand
    passes: bool = False  # it may be over when the beat is played again

    def moved(self, scene: Observations) -> list[Value]:
        """The values that are off and that it can have moved, the worst first."""
        return [value for value in scene.off if self._may_move(value, scene.side(value))]

    def struck(self, scene: Observations, seen: Outside) -> set[str]:
        """The forms that it was seen in; "" where it is the whole beat's."""
        return {seen.form} | {value.form for value in self.moved(scene) if kind(value) == self.shows}

    def _may_move(self, value: Value, side: int) -> bool:
        to = self.moves.get(kind(value))
        return to is not None and (EITHER in (to, side) or to == side)

    def applies(self, scene: Observations, without: Collection[str] = ()) -> Outside | None:
        """Looked for in the forms of those values alone. without: forms in which another cause explains it."""
        moved = [value for value in self.moved(scene) if value.form not in without]
        return self.finds(replace(scene, values=moved)) if moved else None


def outside(scene: Observations, name: str) -> Outside | None:
    """A signal of the whole beat, or of the form that it is worst in, where it is beyond its range."""
    now, before = getattr(scene.now, name), [getattr(signals, name) for signals in scene.rehearsed]
    if not isinstance(now, dict):
        return beyond(SCALES[name], now, before)
    concerned = scene.forms
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
    """Other programs by how long ours waited for them, or by what they use: where it is known that ours waited no
    longer than usual, others used what ours left. A quota makes ours wait too."""
    if outside(scene, "throttled"):
        return _signal("others")(scene)
    waited = outside(scene, "waited")
    known = scene.now.waited is not None and any(signals.waited is not None for signals in scene.rehearsed)
    return None if known and not waited else _signal("others", "waited")(scene)


def _not_attached(scene: Observations) -> Outside | None:
    """An agent that ended, or spans that began late in a form that has one."""
    ended = {how.partition(":")[0].removeprefix("agent of "): how for how in scene.now.ended if how.startswith("agent")}
    if ended:
        form = _concerned(ended, scene)
        return Outside(excess=CERTAIN, evidence=f"the {ended[form]}", form=form, fact=True)
    having = {form for signals in (scene.now, *scene.rehearsed) for form in signals.agents}
    silent_s = {form: seconds for form, seconds in scene.now.silent_s.items() if form in having}
    return outside(replace(scene, now=replace(scene.now, silent_s=silent_s)), "silent_s")


def _wrong_binary(scene: Observations) -> Outside | None:
    found = {}
    for form, builds in scene.now.builds.items():
        known = {build for signals in scene.rehearsed for build in signals.builds.get(form, ())}
        if known and (other := [build for build in builds if build not in known]):
            found[form] = f"{form} answers as build {_short(other[0])}; {_short(min(known))} in rehearsal"
    if not found:
        return None
    form = _concerned(found, scene)
    return Outside(excess=CERTAIN, evidence=found[form], form=form, fact=True)


def _concerned(found: Mapping[str, str], scene: Observations) -> str:
    """The form among these whose values are off, else the first: a fact is reported also where it moved none."""
    return next((form for form in found if form in scene.forms), next(iter(found)))


def _failed(scene: Observations) -> Outside | None:
    """Requests that failed; however few, where their number is off it is they."""
    few = next((value for value in scene.off if kind(value) == "errors"), None)
    told = Outside(excess=1.0, evidence=rehearsed(few), form=few.form) if few else None
    return outside(scene, "errors") or told


def _short(build: str) -> str:
    return build if len(build) <= 24 else f"{build[:20]}…"


def drift(scene: Observations) -> Outside | None:
    """Inputs that are not those of the rehearsals."""
    if not scene.changed:
        return None
    return Outside(excess=CERTAIN, evidence="; ".join(scene.changed), sentence=_drifted(scene.changed))


def _drifted(changed: tuple[str, ...]) -> str:
    """Only where it is a tool is it a different tool."""
    names = [clause.partition(":")[0] for clause in changed]
    if any(name.startswith("tool ") for name in names):
        return ""
    named = [f"the {'version of lab' if name == 'lab' else name}" for name in names[:SHOWN]]
    named += [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    listed = " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
    return f"This is not what was rehearsed: {listed} {'is' if len(named) == 1 else 'are'} different"


DRIFT: Final = Rule(name="version drift", finds=drift, sentence="This is a different tool than in rehearsal")
RULES: Final = (
    DRIFT,
    Rule(name="wrong binary", finds=_wrong_binary, sentence="This is not the form you think it is"),
    Rule(
        name="clock",
        finds=_signal("clock_step_ms"),
        sentence="The machine's clock jumped; the times of this beat mean nothing",
        hides=("warm-up", "load generator", "throttled", "dropped spans", "context lost"),
        moves={"time": EITHER, "spans": BELOW},
    ),
    Rule(
        name="noisy host",
        finds=_signal("steal", "host_others", "host_waited"),
        sentence="The host took CPU away",
        hides=("throttled", "background work", *LATE),
        moves=BUSIED,
        shared=True,
        passes=True,
    ),
    Rule(
        name="background work",
        finds=_busy,
        sentence="Something else ran",
        hides=("throttled", *LATE),
        moves=BUSIED,
        shared=True,
        passes=True,
    ),
    Rule(
        name="throttled",
        finds=_signal("throttled", "sentinel_ms"),
        sentence="The laptop throttled",
        hides=LATE,
        moves=BUSIED,
        shared=True,
        passes=True,
    ),
    Rule(
        name="not attached",
        finds=_not_attached,
        sentence="The agent was not watching",
        hides=("dropped spans", "context lost"),
        moves=WATCHED,
    ),
    Rule(
        name="failed requests",
        finds=_failed,
        sentence="Requests failed; their times and their spans are not those of whole ones",
        hides=("dropped spans",),
        # with each of these answers come too late
        after=("noisy host", "background work", "throttled", "load generator"),
        shows="errors",
        moves={"errors": ABOVE, "spans": BELOW, "time": EITHER, "work": EITHER},
    ),
    Rule(
        name="context lost",
        finds=_signal("parents"),
        sentence="There are spans, but no tree",
        hides=("dropped spans",),
        moves={"spans": BELOW},
    ),
    Rule(
        name="dropped spans",
        finds=_signal("spans"),
        sentence="The requests are fine, spans were dropped",
        moves={"spans": BELOW},
    ),
    Rule(
        name="load generator",
        finds=_signal("late"),
        sentence="We measured the load tool",
        hides=("warm-up",),
        moves={"time": ABOVE},
    ),
    Rule(
        name="warm-up",
        finds=_signal("trend"),
        sentence="We measured too early",
        moves=BUSIED,
        passes=True,
    ),
)
