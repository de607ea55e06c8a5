"""Effects: log ratios per block, and one figure over all blocks. Pure; the unit of analysis is the cell.

Point estimate: Hodges-Lehmann (1963), the median of the Walsh averages of the blocks' log ratios; with one block that
block's ratio. Interval: `lab.verdict.signed_rank`, from two blocks on. All are converted to per cent of change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Final

from lab.verdict.signed_rank import POWER, Interval, detectable, hodges_lehmann, interval

LARGEST: Final = math.log(1e15)  # as a log ratio: in per cent, still a number that a summary may hold
ALPHA: Final = 0.05
EQUIVALENCE: Final = 0.10  # two one-sided tests at 5 % are one interval at 90 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Per cent of change. ratios: one log ratio per block, in block order.

    low, high: the interval at `level`; low90, high90: for equivalence, None where the blocks do not reach 90 %;
    mde: the smallest effect that nine of ten such runs would detect; range: without an interval, low and high at 95 %
    by the error that the blocks share.
    """

    effect_pct: float
    blocks: int
    ratios: tuple[float, ...]
    low_pct: float | None = None
    high_pct: float | None = None
    level: float | None = None
    low90_pct: float | None = None
    high90_pct: float | None = None
    mde_pct: float | None = None
    range_pct: tuple[float, ...] = ()

    @property
    def excludes_zero(self) -> bool:
        return self.low_pct is not None and self.high_pct is not None and (self.low_pct > 0 or self.high_pct < 0)

    @property
    def widest_pct(self) -> float:
        """The end farther from zero; without an interval the effect itself."""
        return max(abs(self.low_pct or 0.0), abs(self.high_pct or 0.0), abs(self.effect_pct))


def log_ratio(value: float, references: Sequence[float]) -> float:
    """ln(value / mean of references). Both must be positive; ValueError otherwise."""
    # the difference of two logarithms: a quotient could overflow
    return math.log(value) - math.log(fmean(references))


def combined(ratios: Sequence[float]) -> float:
    """Log ratios of several request types as one: the geometric mean of the ratios."""
    return fmean(ratios)


def percent(ratio: float) -> float:
    """A log ratio as per cent of change, at most as large as a summary may hold."""
    return math.expm1(min(ratio, LARGEST)) * 100.0


def estimate(ratios: Sequence[float], alpha: float = ALPHA, edge: float = 0.0) -> Effect | None:
    """The effect over all blocks with its interval at 1 - alpha, None without any block.

    edge: standard deviation of an error that all blocks share, as a log ratio; it widens what the blocks alone say.
    """
    if not ratios:
        return None
    middle = hodges_lehmann(ratios)
    wide, narrow = (
        _widened(interval(ratios, alpha), middle, edge),
        _widened(interval(ratios, EQUIVALENCE), middle, edge),
    )
    off = 0.0 if wide else edge * deviations(1 - ALPHA)
    least = detectable(ratios, alpha)
    if least is not None and wide is not None:
        least = math.hypot(least, edge * (deviations(wide.level) + NormalDist().inv_cdf(POWER)))
    if narrow is not None and narrow.level < 1 - EQUIVALENCE - 1e-9:
        narrow = None
    return Effect(
        effect_pct=percent(middle),
        blocks=len(ratios),
        ratios=tuple(ratios),
        low_pct=percent(wide.low) if wide else None,
        high_pct=percent(wide.high) if wide else None,
        level=wide.level if wide else None,
        low90_pct=percent(narrow.low) if narrow else None,
        high90_pct=percent(narrow.high) if narrow else None,
        mde_pct=percent(least) if least is not None else None,
        range_pct=(percent(middle - off), percent(middle + off)) if off else (),
    )


def _widened(found: Interval | None, middle: float, edge: float) -> Interval | None:
    """With an error that the blocks share, of this standard deviation."""
    if found is None or edge <= 0.0:
        return found
    more = deviations(found.level) * edge
    low, high = middle - math.hypot(middle - found.low, more), middle + math.hypot(found.high - middle, more)
    return Interval(low, high, found.level)


def deviations(level: float) -> float:
    """Of a normal law, to each side: as many hold this share."""
    return NormalDist().inv_cdf(min((1 + level) / 2, 1 - 1e-9))


def scalar_ratios(
    of: Mapping[int, float],
    references: Sequence[Mapping[int, float]],
    blocks: Sequence[int],
    *,
    fitted: bool = False,
) -> list[float]:
    """One log ratio per block in which the form's value and the mean of the references' are positive.

    A reference at or below zero counts in the mean: without it, noise that fell to one side would be left. For the same
    reason a fitted figure, which noise takes below zero, has no ratio at all where it is not positive in every block.
    """
    found = []
    for block in blocks:
        base = [values[block] for values in references if block in values]
        if not base or block not in of:
            continue
        if fmean(base) > 0.0 and of[block] > 0.0:
            found.append(log_ratio(of[block], base))
        elif fitted:
            return []
    return found


def typed_ratios(
    of: Mapping[int, Mapping[str, float]],
    references: Sequence[Mapping[int, Mapping[str, float]]],
    blocks: Sequence[int],
    types: Sequence[str],
) -> list[float]:
    """As `scalar_ratios`, with each block's geometric mean over `types`; blocks without a type are left out."""
    found = []
    for block in blocks:
        per_type = []
        for kind in types:
            base = [values[block][kind] for values in references if values.get(block, {}).get(kind, 0.0) > 0.0]
            value = of.get(block, {}).get(kind, 0.0)
            if base and value > 0.0:
                per_type.append(log_ratio(value, base))
        if types and len(per_type) == len(types):
            found.append(combined(per_type))
    return found
