"""Wilcoxon's signed-rank test, exact up to 50 blocks, and the interval from its inversion. Pure.

The interval contains every shift that the two-sided test does not reject: from the (c+1)-th smallest to the (c+1)-th
largest Walsh average, where c is the largest rank sum in the rejection region (Hollander, Wolfe & Chicken,
"Nonparametric Statistical Methods", 3rd ed., 3.3). The test is discrete, so the real level is part of the result. The
tests compare with scipy, whose import would be too slow for `lab --help`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement
from statistics import NormalDist, median, stdev
from typing import Final

POWER: Final = 0.9
TRIALS: Final = 2000  # the simulated power is right within 1.3 percentage points
FREEDOM: Final = 5  # degrees of Student's t, the assumed noise of a block
EXACT: Final = 50  # blocks; above, the normal approximation is as good (also scipy's limit)


@dataclass(frozen=True, slots=True)
class Interval:
    """`level`: the real confidence, at least the requested one where the blocks suffice."""

    low: float
    high: float
    level: float


def walsh(values: Sequence[float]) -> list[float]:
    """All pairwise means in order, including each value with itself."""
    return sorted((a + b) / 2 for a, b in combinations_with_replacement(values, 2))


def hodges_lehmann(values: Sequence[float]) -> float:
    """The median of the Walsh averages. ValueError when empty."""
    if not values:
        raise ValueError("no blocks to estimate an effect from")
    return median(walsh(values))


@lru_cache(maxsize=64)
def null_counts(n: int) -> tuple[int, ...]:
    """The number of sign vectors of the ranks 1..n (2**n in all) for each sum of positive ranks."""
    counts = [1]
    for rank in range(1, n + 1):
        grown = counts + [0] * rank
        for total, number in enumerate(counts):
            grown[total + rank] += number
        counts = grown
    return tuple(counts)


def tail(n: int, rank_sum: int) -> float:
    """P(sum of positive ranks <= rank_sum) under the null hypothesis."""
    if n > EXACT:
        return _law(n).cdf(rank_sum + 0.5)
    return math.ldexp(sum(null_counts(n)[: rank_sum + 1]), -n)


@lru_cache(maxsize=256)
def critical(n: int, alpha: float) -> int | None:
    """The largest rank sum that the two-sided test at `alpha` rejects; None: n blocks are too few for any."""
    allowed, below, found = alpha / 2 * (1 + 1e-12), 0, None
    if n > EXACT:
        return math.floor(_law(n).inv_cdf(allowed) - 0.5)
    for total, number in enumerate(null_counts(n)):
        below += number
        if below / 2**n > allowed:
            break
        found = total
    return found


def _law(n: int) -> NormalDist:
    """The normal approximation of the rank sum of many blocks."""
    return NormalDist(n * (n + 1) / 4, math.sqrt(n * (n + 1) * (2 * n + 1) / 24))


def fewest_blocks(comparisons: int, alpha: float = 0.05) -> int:
    """The fewest blocks for a verdict: the smallest n with 2 / 2**n <= alpha / comparisons."""
    return math.ceil(1 + math.log2(max(comparisons, 1) / alpha) - 1e-12)


def interval(values: Sequence[float], alpha: float) -> Interval | None:
    """At confidence 1 - alpha; with too few blocks for that, the widest one with its level. None: below 2 blocks."""
    n = len(values)
    if n < 2:
        return None
    averages, reached = walsh(values), critical(n, alpha) or 0
    return Interval(averages[reached], averages[-1 - reached], 1 - 2 * tail(n, reached))


def detectable(values: Sequence[float], alpha: float) -> float | None:
    """The shift whose interval would exclude zero in nine of ten runs like this. None below two blocks.

    A multiple of the blocks' standard deviation. The multiple accounts for the deviation being an estimate from few
    blocks: the noise of this run and of the next are both random.
    """
    n = len(values)
    return _multiple(n, critical(n, alpha) or 0) * stdev(values) if n >= 2 else None


@lru_cache(maxsize=64)
def _multiple(n: int, reached: int) -> float:
    """The distance of the lower end of an unshifted run from zero, in deviations estimated by another run: the shift
    that lifts nine of ten such ends above zero. By seeded simulation; by the normal approximation for many blocks.
    """
    if n > EXACT:
        normal = NormalDist()
        return (normal.inv_cdf(1 - tail(n, reached)) + normal.inv_cdf(POWER)) * math.sqrt(math.pi / 3 / n)
    draw = random.Random(f"detectable/{n}/{reached}")  # noqa: S311 - a seeded simulation, no secret
    needed = []
    for _ in range(TRIALS):
        lowest = sorted(_noise(draw) for _ in range(n))[: reached + 1]  # the (c+1)-th Walsh average is among theirs
        needed.append(-walsh(lowest)[reached] / stdev([_noise(draw) for _ in range(n)]))
    return sorted(needed)[math.ceil(POWER * TRIALS) - 1]


def _noise(draw: random.Random) -> float:
    """Student's t: recorded sessions have heavier tails than normal noise."""
    return draw.gauss() / math.sqrt(draw.gammavariate(FREEDOM / 2, 2 / FREEDOM))
