"""Quantiles of Student's t, for prediction intervals. scipy is the oracle of the tests."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

HALVINGS: Final = 80


def inside(t: float, freedom: int) -> float:
    """P(-t < T < t) for whole degrees of freedom (Abramowitz & Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = total = cosine if odd else 1.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    if not odd:
        return sine * total
    return 2 / math.pi * (angle + (sine * total if freedom > 1 else 0.0))


@lru_cache(maxsize=256)
def two_sided(alpha: float, freedom: int) -> float:
    """The t beyond which, on both sides together, a share of `alpha` lies."""
    low, high = 0.0, 1.0
    while 1 - inside(high, freedom) > alpha:
        low, high = high, high * 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - inside(middle, freedom) > alpha else (low, middle)
    return high
