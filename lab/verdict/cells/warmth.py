"""Whether a form was warm when it was measured: latency in the first third of a cell against its last third.

A process that still fills its pools, maps and caches answers faster from third to third. One cell says little, since
the arrivals of its thirds differ; that nearly all cells of a form say the same is no chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median
from typing import Final

from lab.guest.wire import RequestSpec
from lab.model.run import Request
from lab.model.summary_form import Cold

FEWEST_ANSWERS: Final = 10  # of one request type in a third
LEAST: Final = 0.05  # what matters, as a share of the latency
CHANCE: Final = 0.01  # that so many cells are slower at first by nothing but chance


def trend(rows: Sequence[Request], specs: Sequence[RequestSpec]) -> float | None:
    """Logarithm of the median latency of the first third over that of the last, mean over the request types; None:
    too few answers."""
    if not rows:
        return None
    began, ended = min(row.intended_ns for row in rows), max(row.intended_ns for row in rows)
    wanted = {spec.type: frozenset(spec.status) for spec in specs if not spec.expect_timeout}
    thirds: dict[str, tuple[list[float], list[float]]] = {}
    for row in rows:
        at = 3 * (row.intended_ns - began) / max(1, ended - began)
        if row.status in wanted.get(row.type, frozenset()) and not 1 < at < 2:
            thirds.setdefault(row.type, ([], []))[at >= 2].append(row.latency_ms)
    logs = [
        math.log(median(first) / median(last))
        for first, last in thirds.values()
        if min(len(first), len(last)) >= FEWEST_ANSWERS and median(last) > 0 < median(first)
    ]
    return fmean(logs) if logs else None


def cold(trends: Sequence[float]) -> Cold | None:
    """From the trends of the cells of one form; None: it was warm, or the cells do not tell."""
    slower, of = sum(one > 0 for one in trends), len(trends)
    chance = sum(math.comb(of, k) for k in range(slower, of + 1)) / 2**of
    usual = math.expm1(median(trends)) if trends else 0.0
    if usual < LEAST or chance > CHANCE:
        return None
    return Cold(slower_pct=100 * usual, cells=slower, of=of)
