"""The word a comparison earns, and why. First match wins, in this order:

INVALID, BIASED, NOT COMPARABLE, SATURATED, INDICATIVE, the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab.model.summary import Word

MEANING: Final[dict[Word, str]] = {
    "INVALID": "no cell of one side is valid for this metric",
    "BIASED": "one side lost more cells than the other, so the survivors may not be alike",
    "NOT COMPARABLE": "the two did not do the same work",
    "SATURATED": "the form could not carry this load",
    "INDICATIVE": "an idea of scale: too few blocks, or a machine that cannot give performance results",
    "COSTS MORE": "the interval excludes zero and the effect is larger than noise and threshold",
    "COSTS LESS": "the interval excludes zero and the effect is larger than noise and threshold",
    "SAME": "any difference is smaller than the threshold, and the control proves that it would have been seen",
    "CAN'T TELL": "the run could not decide",
}
# Metrics in which a larger value is better: there a rise is a saving.
GAINS: Final = frozenset({"throughput_rps"})
IMPLAUSIBLE: Final = "IMPLAUSIBLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a word depends on, in per cent. low/high: simultaneous interval; low90/high90: for equivalence."""

    metric: str
    effect_pct: float | None
    blocks: int
    grade: str
    threshold_pct: float
    fewest_blocks: int
    low_pct: float | None = None
    high_pct: float | None = None
    low90_pct: float | None = None
    high90_pct: float | None = None
    floor_pct: float | None = None  # F; None = unknown
    control_seen: bool | None = None
    plain: bool = True  # the reference is not instrumented: nothing that was added to it can make it cheaper
    twin_pct: float | None = None  # what the twin read in this metric
    invalid: str = ""  # each of these is a reason; "" = does not hold
    biased: str = ""
    unequal: str = ""
    saturated: str = ""
    too_few: str = ""  # why there is no figure although both sides have valid cells


def judge(evidence: Evidence) -> tuple[Word, tuple[str, ...]]:
    """The word and its reasons."""
    if evidence.invalid or evidence.effect_pct is None:
        # different work outranks a missing figure: there would be nothing to compute even from perfect cells
        if evidence.unequal and not evidence.invalid:
            return "NOT COMPARABLE", (evidence.unequal,)
        if evidence.too_few and not evidence.invalid:
            return "CAN'T TELL", (evidence.too_few,)
        return "INVALID", (evidence.invalid or "no block has a valid cell of both sides",)
    if evidence.biased:
        return "BIASED", (evidence.biased,)
    if evidence.unequal:
        return "NOT COMPARABLE", (evidence.unequal,)
    if evidence.saturated:
        return "SATURATED", (evidence.saturated,)
    if reasons := _indicative(evidence):
        return "INDICATIVE", (*_implausible(evidence), *reasons)
    return _decided(evidence)


def _implausible(evidence: Evidence) -> tuple[str, ...]:
    """Doubt beside whatever word: instrumented, and cheaper than without by more than noise floor and threshold."""
    effect = evidence.effect_pct
    if not evidence.plain or effect is None or abs(effect) <= _limit(evidence) or _costs_more(evidence, effect):
        return ()
    said = f"{IMPLAUSIBLE}: instrumentation that saves work; check order and identity"
    if evidence.twin_pct is not None and abs(evidence.twin_pct) >= abs(effect):
        said += f" (the twin, the same binary, read {evidence.twin_pct:+.1f} % here: noise alone can do this)"
    return (said,)


def _limit(evidence: Evidence) -> float:
    return max(evidence.floor_pct or 0.0, evidence.threshold_pct)


def _costs_more(evidence: Evidence, effect: float) -> bool:
    return (effect > 0) != (evidence.metric in GAINS)


def _indicative(evidence: Evidence) -> tuple[str, ...]:
    reasons = []
    if evidence.grade in {"emulated", "noisy"}:
        reasons.append(f"the machine is graded {evidence.grade}")
    if evidence.blocks < evidence.fewest_blocks:
        reasons.append(
            f"{evidence.blocks} block{'s' if evidence.blocks != 1 else ''}; a word needs {evidence.fewest_blocks}"
        )
    if evidence.low_pct is None or evidence.high_pct is None:
        reasons.append("shown without an interval")
    return tuple(reasons)


def _decided(evidence: Evidence) -> tuple[Word, tuple[str, ...]]:
    effect, low, high = evidence.effect_pct, evidence.low_pct, evidence.high_pct
    assert effect is not None
    assert low is not None
    assert high is not None
    limit = _limit(evidence)
    if not evidence.control_seen:
        return "CAN'T TELL", ("the control of this metric was not seen",)
    if low > 0 or high < 0:
        if abs(effect) > limit:
            return ("COSTS MORE" if _costs_more(evidence, effect) else "COSTS LESS"), _implausible(evidence)
        return "CAN'T TELL", (f"the effect is within ±{limit:g} %",)
    low90, high90 = evidence.low90_pct, evidence.high90_pct
    threshold = evidence.threshold_pct
    within = low90 is not None and high90 is not None and -threshold < low90 <= high90 < threshold
    if within and evidence.floor_pct is not None and evidence.floor_pct < evidence.threshold_pct:
        return "SAME", ()
    return "CAN'T TELL", ("the interval holds zero and more than the threshold",)
