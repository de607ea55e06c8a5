"""The verdict word of a comparison, and why. The first match of:

INVALID, BIASED, NOT COMPARABLE, SATURATED, INDICATIVE, the rest. A side that has no valid cell since the load was too
much for it is SATURATED: a finding, and no fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab.guest.wire import COUNTED
from lab.model.metrics import Kind, Metric
from lab.model.summary import SIMULATED, Word
from lab.verdict.effects import Effect

IMPLAUSIBLE: Final = "IMPLAUSIBLE"
EARNED: Final = frozenset({"COSTS MORE", "COSTS LESS", "SAME"})  # by the size of the effect, which is then shown
COLLECTION: Final = "one garbage collection more or less"
TOLD_PCT: Final = 1000.0  # a wider range is no figure
NO_NOISE: Final = "no twin has a figure, and the noise of earlier sessions is unknown"
# Grades of a machine that permit a verdict on this kind of metric.
WORTH: Final[dict[Kind, frozenset[str]]] = {
    "time": frozenset({"limited", "ready"}),
    "work": frozenset({"counted"}),
    "memory": frozenset({"counted", "limited", "ready"}),
    "spans": frozenset({"counted", "emulated", "noisy", "limited", "ready"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The inputs of a verdict word. Texts are reasons; "": does not apply."""

    metric: Metric
    effect: Effect | None  # with the simultaneous interval
    grade: str
    threshold_pct: float
    fewest_blocks: int
    floor_pct: float | None = None  # F; None = unknown
    control_seen: bool | None = None  # whether this metric's control was detected; None: unknown
    control_unknown: str = ""  # why that is unknown; "": no control of this metric gave a figure
    plain: bool = True  # the reference is not instrumented: instrumentation cannot be cheaper
    twin: Effect | None = None  # the twin's effect in this metric
    invalid: str = ""
    biased: str = ""
    unequal: str = ""
    saturated: str = ""
    descriptive: str = ""  # why it gets no verdict, however clear
    too_few: str = ""  # why there is no figure although both sides have valid cells

    @property
    def noise_pct(self) -> float:
        """The difference of one binary from itself: in comparable earlier sessions, or in this one."""
        return max(self.floor_pct or 0.0, abs(self.twin.effect_pct) if self.twin else 0.0)

    @property
    def limit_pct(self) -> float:
        return max(self.noise_pct, self.threshold_pct)


def judge(evidence: Evidence) -> tuple[Word, tuple[str, ...]]:
    """The word and its reasons."""
    effect = evidence.effect
    if evidence.invalid or effect is None:
        return _without_figure(evidence)
    if evidence.biased:
        return "BIASED", (evidence.biased,)
    if evidence.unequal:
        return "NOT COMPARABLE", (evidence.unequal,)
    if evidence.saturated:
        return "SATURATED", (evidence.saturated,)
    if reasons := _indicative(evidence, effect):
        return "INDICATIVE", (*_implausible(evidence, effect), *reasons)
    return _decided(evidence, effect)


def _without_figure(evidence: Evidence) -> tuple[Word, tuple[str, ...]]:
    # different work takes precedence over a missing figure: even perfect cells would not be comparable
    if evidence.unequal and not evidence.invalid:
        return "NOT COMPARABLE", (evidence.unequal,)
    if evidence.saturated:
        return "SATURATED", (evidence.saturated,)
    if evidence.too_few and not evidence.invalid:
        return "CAN'T TELL", (evidence.too_few,)
    return "INVALID", (evidence.invalid or "no block has valid cells of both sides",)


def lost(effect: Effect, twin: Effect | None, threshold_pct: float) -> str:
    """The noise in which this effect is lost; "" when it exceeds the noise, or both are small."""
    low, high = effect.range_pct or (0.0, 0.0)
    if low < 0 < high and max(-low, high) > threshold_pct:
        return f"{COLLECTION}: {_between(low, high)}" if high < TOLD_PCT else COLLECTION
    noise = twin.widest_pct if twin else 0.0
    covered = twin is not None and abs(effect.effect_pct) <= abs(twin.effect_pct)
    undecided = effect.low_pct is not None and not effect.excludes_zero
    if not (covered or undecided) or max(noise, effect.widest_pct) <= threshold_pct:
        return ""
    if abs(effect.effect_pct) <= noise:
        return f"twin ±{_size(noise)} %"
    return _between(effect.low_pct or 0.0, effect.high_pct or 0.0)


def _between(low: float, high: float) -> str:
    return f"between \N{MINUS SIGN}{_size(abs(low))} and +{_size(high)} %"


def _size(pct: float) -> str:
    return f"{pct:.1f}" if pct < 9.95 else f"{pct:.0f}" if pct < 1e7 else f"{pct:.3g}"


def _implausible(evidence: Evidence, effect: Effect) -> tuple[str, ...]:
    """The doubt about an instrumented form that is cheaper than without by more than noise floor and threshold."""
    beyond = max(evidence.floor_pct or 0.0, evidence.threshold_pct)
    if not evidence.plain or abs(effect.effect_pct) <= beyond or _costs_more(evidence, effect):
        return ()
    doubt = f"{IMPLAUSIBLE}: instrumentation that saves work; check order and identity"
    twin = evidence.twin
    if twin is not None and abs(twin.effect_pct) >= abs(effect.effect_pct):
        doubt += f" (the twin, the same binary, has {twin.effect_pct:+.1f} % here: this may be noise alone)"
    return (doubt,)


def _costs_more(evidence: Evidence, effect: Effect) -> bool:
    return (effect.effect_pct > 0) != evidence.metric.gain


def _indicative(evidence: Evidence, effect: Effect) -> tuple[str, ...]:
    reasons = []
    if evidence.grade not in WORTH[evidence.metric.kind]:
        counted = evidence.grade == COUNTED
        reasons.append(SIMULATED if counted else f"the machine is graded {evidence.grade}")
    if evidence.descriptive:
        reasons.append(evidence.descriptive)
    elif effect.blocks < evidence.fewest_blocks:
        reasons.append(
            f"{effect.blocks} block{'s' if effect.blocks != 1 else ''}; a verdict needs {evidence.fewest_blocks}"
        )
    return tuple(reasons)


def _decided(evidence: Evidence, effect: Effect) -> tuple[Word, tuple[str, ...]]:
    least = f"minimum detectable effect {_size(effect.mde_pct or 0.0)} %"
    if not evidence.control_seen:
        unknown = evidence.control_unknown or "has no figure in this run"
        why = "was not detected" if evidence.control_seen is False else unknown
        return "CAN'T TELL", (f"the control of this metric {why}", least)
    if evidence.floor_pct is None and evidence.twin is None:
        return "CAN'T TELL", (NO_NOISE, least)
    if effect.excludes_zero and abs(effect.effect_pct) > evidence.limit_pct:
        return ("COSTS MORE" if _costs_more(evidence, effect) else "COSTS LESS"), _implausible(evidence, effect)
    low, high, threshold = effect.low90_pct, effect.high90_pct, evidence.threshold_pct
    if low is not None and high is not None and -threshold < low <= high < threshold:
        if evidence.floor_pct is not None and evidence.noise_pct < threshold:
            return "SAME", ()
        unfloored = evidence.floor_pct is None
        noise = "the noise of earlier sessions is unknown" if unfloored else f"the noise is {evidence.noise_pct:.1f} %"
        return "CAN'T TELL", (f"within ±{threshold:g} %, and {noise}", least)
    if effect.excludes_zero:
        return "CAN'T TELL", (f"the effect is within ±{_size(evidence.limit_pct)} %: noise or threshold", least)
    return "CAN'T TELL", ("the interval contains zero and exceeds the threshold", least)
