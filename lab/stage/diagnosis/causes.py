"""Why a value is off: the causes that were seen, ranked by how far each one's signal is outside its rehearsed range.

A signal that was not rehearsed is held to a limit that no quiet machine reaches. A cause that follows from another one
that is seen too is left out, unless it is a fact: a host that takes CPU away also makes sends late.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lab.stage.diagnosis.judge import FigureKey
from lab.stage.diagnosis.observed import Observations, kind, rehearsed
from lab.stage.diagnosis.outside import Outside
from lab.stage.diagnosis.rules import DRIFT, RULES, Rule
from lab.stage.stream.events import Cause, Value

SHOWN: Final = 3
NONE: Final = "No cause found."


def explain(scene: Observations) -> tuple[Cause, ...]:
    """The causes that were seen, the likeliest first; the one without a name where none was. At most SHOWN.

    Where nothing is off only inputs that changed are reported: nothing else has anything to explain."""
    off = scene.off
    at_ms = max((value.at_ms for value in scene.values), default=0.0)
    if not off:
        drifted = DRIFT.finds(scene)
        return (_cause(DRIFT, drifted, scene, at_ms),) if drifted else ()
    kept: list[tuple[Rule, Outside]] = []
    for rule in RULES:
        seen = _seen(rule, scene, kept)
        if seen is not None:
            kept.append((rule, seen))
    ranked = sorted(kept, key=lambda pair: (_follows(pair[0], pair[1], scene, kept), -pair[1].excess))
    causes = [_cause(rule, seen, scene, at_ms) for rule, seen in ranked[:SHOWN]]
    return tuple(causes) or (
        Cause(at_ms=at_ms, name="", evidence=rehearsed(off[0]), sentence=NONE, value=off[0].name, form=off[0].form),
    )


def _seen(rule: Rule, scene: Observations, kept: Sequence[tuple[Rule, Outside]]) -> Outside | None:
    """A cause, unless it follows from those above it. What one form's requests or agent did explains nothing in another
    form."""
    seen = rule.applies(scene)
    hidden = {form for above, first in kept if rule.name in above.hides for form in above.struck(scene, first)}
    if seen is None or seen.fact or not hidden:
        return seen
    return None if "" in hidden else rule.applies(scene, hidden)


def _follows(rule: Rule, seen: Outside, scene: Observations, kept: Sequence[tuple[Rule, Outside]]) -> bool:
    """Whether it is what another cause comes to, which moved all forms alike: still worth a line, not the first. Where
    the others are as rehearsed, a form fails by itself."""
    loaded = {value.form for value in scene.values if kind(value) in ("time", "work") and value.judged} - {""}
    forms = rule.struck(scene, seen) | loaded
    before = [above for above, _ in kept if above.name in rule.after]
    return any(forms <= {value.form for value in above.moved(scene)} for above in before)


def _cause(rule: Rule, seen: Outside, scene: Observations, at_ms: float) -> Cause:
    """With the worst value that it can have moved; of a form whose values are as rehearsed none."""
    value = next((one for one in rule.moved(scene) if not seen.form or one.form in ("", seen.form)), None)
    return Cause(
        at_ms=at_ms,
        name=rule.name,
        evidence=seen.evidence,
        sentence=_sentence(rule, seen, scene),
        value=value.name if value else "",
        form=value.form if value else seen.form,
    )


def _sentence(rule: Rule, seen: Outside, scene: Observations) -> str:
    """Nothing repeats a beat that passed but the speaker, who may do so where the beat allows it."""
    said = seen.sentence or rule.sentence
    if rule.shared and _failed(scene):
        said += ", and requests failed"
    more = comparison(scene) if rule.shared else ""
    if not more and rule.passes and scene.again:
        more = "we run it once more"
    return f"{said}; {more}." if more else f"{said}."


def comparison(scene: Observations) -> str:
    """That all ratios to the twin are as rehearsed, with the largest of what is off or of its kind; "" when one is not,
    when an off value's own was never rehearsed, or when requests failed: times of other requests are compared then."""
    off = scene.off
    if _failed(scene):
        return ""
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


def _failed(scene: Observations) -> bool:
    return any(kind(value) == "errors" for value in scene.off)


def _reference(scene: Observations, value: Value) -> str:
    """The form that a value is compared with: the one that has no ratio itself."""
    forms = [one.form for one in scene.values if one.name == value.name and one.ratio is None]
    return forms[0] if len(forms) == 1 else ""
