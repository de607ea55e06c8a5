"""The studies: each counts how often the verdict does something over many simulated sessions."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final

from lab.model.summary import Verdict
from lab.verdict.compare import DECIDED
from tests.simulate.noise import KINDS, QUIET, drift, neighbour, normal
from tests.simulate.session import Setup, primary, verdicts

EFFECT: Final = 1.10  # a form that really adds 10 %


@dataclass(frozen=True, slots=True)
class Share:
    """A count of trials, with its 95 % interval (Wilson's)."""

    hits: int
    trials: int

    @property
    def value(self) -> float:
        return self.hits / self.trials

    @property
    def bounds(self) -> tuple[float, float]:
        z, n, p = 1.96, self.trials, self.value
        middle, half = (p + z * z / (2 * n)), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))

    def __str__(self) -> str:
        low, high = self.bounds
        return f"{self.value:.1%} ({low:.1%} to {high:.1%})"


def _share(found: Iterable[bool]) -> Share:
    told = list(found)
    return Share(sum(told), len(told))


def false_words(kind: str, blocks: int, reports: int) -> Share:
    """Reports of forms that are all the same service in which any row says COSTS MORE or COSTS LESS."""
    setup = Setup(noise=KINDS[kind], blocks=blocks)
    return _share(_decides(verdicts(setup, f"{kind}/{blocks}/{n}")) for n in range(reports))


def covered(kind: str, blocks: int, reports: int) -> tuple[Share, float]:
    """95 % intervals of a form that adds 10 % which contain 10 %, and the level that they claim."""
    setup = Setup(noise=KINDS[kind], blocks=blocks, factor={"a": EFFECT}, alone=True)
    rows = [row for n in range(reports) for row in _of(verdicts(setup, f"{kind}/{blocks}/c{n}"), "a")]
    hits = [bool(row.low_pct is not None and row.high_pct is not None) and _holds(row) for row in rows]
    return _share(hits), rows[0].confidence or 0.0


def power(kind: str, blocks: int, reports: int) -> Share:
    """Rows that see an effect as large as another session with the same noise calls its minimum detectable one."""
    found = []
    for n in range(reports):
        said = _of(verdicts(Setup(noise=KINDS[kind], blocks=blocks), f"{kind}/{blocks}/m{n}"), "a")
        for row in said:
            least = 1 + (row.mde_pct or 0.0) / 100
            again = verdicts(Setup(noise=KINDS[kind], blocks=blocks, factor={"a": least}), f"{kind}/{blocks}/p{n}")
            seen = next(r for r in _of(again, "a") if r.metric == row.metric)
            found.append(seen.low_pct is not None and seen.low_pct > 0)
    return _share(found)


# what happens to a session whose forms are one and the same, by the order in which they run
PHANTOMS: Final = {
    "noise of 1 %, nothing else": normal(QUIET),
    "a machine that warms up: 10 % slower at the end": drift(QUIET, 0.1),
    "… 30 % slower at the end": drift(QUIET, 0.3),
    "a slow neighbour, +30 %": neighbour(QUIET, 0.3),
    "the first of each block finds a cold cache: +5 %": normal(QUIET),
}
COLD: Final = 1.05


def phantom(name: str, blocks: int, reports: int, *, fixed: bool) -> tuple[Share, float]:
    """Reports with a false word, and how large the largest of their effects was on average, in per cent."""
    cold = COLD if "cold" in name else 1.0
    setup = Setup(noise=(PHANTOMS[name], PHANTOMS[name]), blocks=blocks, fixed_order=fixed, first=cold)
    told = [verdicts(replace(setup, threshold_pct=0.5), f"{name}/{n}") for n in range(reports)]
    sizes = [max(abs(row.effect_pct or 0.0) for row in primary(rows)) for rows in told]
    return _share(map(_decides, told)), sum(sizes) / len(sizes)


@dataclass(frozen=True, slots=True)
class Cost:
    cells: int
    seconds: float
    mib: float


def analysis(cells: int) -> Cost:
    """What the verdict over so many cells takes, and the most memory that this process ever held."""
    blocks = cells // 4
    setup = Setup(noise=KINDS["normal, 1 %"], blocks=blocks)
    began = time.perf_counter()
    verdicts(setup, "cost")
    seconds = time.perf_counter() - began
    return Cost(blocks * 4, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _decides(rows: Sequence[Verdict]) -> bool:
    return any(row.word in DECIDED for row in rows)


def _of(rows: Sequence[Verdict], form: str) -> list[Verdict]:
    return [row for row in primary(rows) if (row.form, row.against) == (form, "baseline")]


def _holds(row: Verdict) -> bool:
    assert row.low_pct is not None
    assert row.high_pct is not None
    return row.low_pct <= (EFFECT - 1) * 100 <= row.high_pct
