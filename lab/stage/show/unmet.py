"""Expectations that no beat of their kind can meet: a mistake in the file, not a beat that fails on stage."""

from __future__ import annotations

import math

from lab.model.loading.load_expected import EXPECTED_FILE
from lab.stage.beat import matching
from lab.stage.beat.expect import Expect, InRange, Spans, Text
from lab.stage.beat.form_names import TWIN
from lab.stage.kinds.kind import Around, Faults, Kind
from lab.stage.kinds.slide import SlideBeat


def faults(expect: Expect, does: Kind, around: Around) -> Faults:
    """(key, what is wrong and what would be right), where the keys on their own are sound. "" is nothing."""
    if expect.fault():
        return []
    match expect:
        case InRange():
            spans = _no_spans(expect.form, around) if expect.value in does.SPANS else ""
            return [("ratio", _ratio(expect, does)), ("form", spans), *_range(expect, does, around)]
        case Spans():
            spans = _no_spans(expect.spans, around) if expect.at_least > 0 or expect.names else ""
            return [("spans", spans), ("whole", _unknown(expect, around))]
        case Text() if isinstance(does, SlideBeat) and matching.look(expect.text, [does.markdown]).word == "absent":
            return [("text", f"nothing in the markdown matches {expect.text!r}")]
    return []


def _ratio(expect: InRange, does: Kind) -> str:
    """Why that value has no ratio in any such beat."""
    if not expect.ratio or expect.value not in does.VALUES:
        return ""
    if expect.value not in does.RATIOS:
        having = f"these have one: {', '.join(does.RATIOS)}" if does.RATIOS else "no value of this beat has one"
        return f"{expect.value} has no ratio ({having})"
    if not does.named_forms:
        return ""
    reference = next((name for name in TWIN if name in does.named_forms), "")
    if not reference:
        return f"the beat shows neither {' nor '.join(TWIN)}: there is nothing to compare with"
    return f"{reference} is what the others are compared with: it has no ratio" if expect.form == reference else ""


def _no_spans(name: str, around: Around) -> str:
    form = around.forms.get(name)
    if form is None or form.proof != "none" or name in around.kept:
        return ""
    return f"{name!r} gives no spans: name an instrumented form"


def _unknown(expect: Spans, around: Around) -> str:
    """No request can lack a span where the service does not say which spans the form gives: one is enough."""
    if not expect.whole or expect.spans not in around.unknown:
        return ""
    return f"the service has no expectation for {expect.spans!r}: add it to {EXPECTED_FILE}, or give at_least or names"


def _range(expect: InRange, does: Kind, around: Around) -> Faults:
    """Bounds between which no value can lie."""
    low, high = (0.0, math.inf) if expect.ratio else does.reach(expect.value, around.budget_s)
    what = f"the ratio of {expect.value}" if expect.ratio else expect.value
    can = f"is {low:g}" if low == high else f"is at least {low:g}{'' if math.isinf(high) else f' and at most {high:g}'}"
    return [
        (key, f"{what} {can} in each beat that passes: give a bound that allows it" if off else "")
        for key, off in (("at_most", expect.at_most < low), ("at_least", expect.at_least > high))
    ]
