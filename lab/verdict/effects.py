"""Effects: log ratios per block, one figure over all blocks. Pure arithmetic on cell values; the cell is the unit.

Point estimate: Hodges-Lehmann, the median of the Walsh averages of the blocks' log ratios (Hodges & Lehmann 1963).
With one block it is that block's ratio. Intervals belong to the full protocol: until then `low`, `high` and `mde` are
None, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from statistics import fmean, median
from typing import Final

LARGEST: Final = 700.0  # as a log ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Per cent of change. blocks: how many it rests on; ratios: one log ratio per block, in block order."""

    effect_pct: float
    blocks: int
    ratios: tuple[float, ...]
    low_pct: float | None = None
    high_pct: float | None = None
    mde_pct: float | None = None


def log_ratio(value: float, references: Sequence[float]) -> float:
    """ln(value / mean of references). All must be positive; ValueError otherwise."""
    # the difference of two logarithms: a quotient of figures that are far apart is no float any more
    return math.log(value) - math.log(fmean(references))


def combined(ratios: Sequence[float]) -> float:
    """Log ratios of several request types as one: the geometric mean of the ratios."""
    return fmean(ratios)


def percent(ratio: float) -> float:
    """A log ratio as per cent of change, at most as large as a float can be."""
    return math.expm1(min(ratio, LARGEST)) * 100.0


def hodges_lehmann(ratios: Sequence[float]) -> float:
    """Median of all pairwise means, each value paired with itself too. ValueError when empty."""
    if not ratios:
        raise ValueError("no block to estimate an effect from")
    return median((a + b) / 2 for a, b in combinations_with_replacement(ratios, 2))


def estimate(ratios: Sequence[float]) -> Effect | None:
    """The effect over all blocks, None without any."""
    if not ratios:
        return None
    return Effect(effect_pct=percent(hodges_lehmann(ratios)), blocks=len(ratios), ratios=tuple(ratios))


def scalar_ratios(
    of: Mapping[int, float], references: Sequence[Mapping[int, float]], blocks: Sequence[int]
) -> list[float]:
    """One log ratio per block in which the form and at least one reference have a positive value."""
    found = []
    for block in blocks:
        base = [values[block] for values in references if values.get(block, 0.0) > 0.0]
        if base and of.get(block, 0.0) > 0.0:
            found.append(log_ratio(of[block], base))
    return found


def typed_ratios(
    of: Mapping[int, Mapping[str, float]],
    references: Sequence[Mapping[int, Mapping[str, float]]],
    blocks: Sequence[int],
    types: Sequence[str],
) -> list[float]:
    """As `scalar_ratios`, with each block's geometric mean over `types`; a block lacking a type is left out."""
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


def fewest_blocks(comparisons: int, alpha: float = 0.05) -> int:
    """The fewest blocks that can earn a word: the smallest n with 2 / 2**n <= alpha / comparisons."""
    return math.ceil(1 + math.log2(max(comparisons, 1) / alpha) - 1e-12)
