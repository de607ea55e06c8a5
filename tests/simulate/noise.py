"""Noise of one session, cell after cell in the order in which they ran: what each figure is multiplied by.

`recorded` is real: the uninstrumented service measured 4 s at a time on this project's machine (two virtual CPUs,
neighbours, other work beside it), each figure divided by its session's median; on a counted clock whole process lives,
each figure divided by the mean of its form in that run. tests/simulate/record.py wrote it.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

RECORDED: Final = Path(__file__).with_name("noise.json")
STRETCH: Final = 12  # consecutive cells kept together, so that a slow minute stays one
QUIET: Final = 0.01
BARE: Final = "bare"  # forms that are all the uninstrumented service
Noise = Callable[[random.Random, int], list[float]]
Lives = Callable[[random.Random, str, int], list[float]]  # of one form by its role, block after block


def normal(sigma: float) -> Noise:
    return lambda draw, cells: [math.exp(draw.gauss(0, sigma)) for _ in range(cells)]


def heavy(sigma: float) -> Noise:
    """Student's t with three degrees of freedom: now and then a cell is far off."""

    def one(draw: random.Random) -> float:
        chi = sum(draw.gauss() ** 2 for _ in range(3)) / 3
        return math.exp(max(-2.0, min(2.0, sigma * draw.gauss() / math.sqrt(chi))))

    return lambda draw, cells: [one(draw) for _ in range(cells)]


def drift(sigma: float, whole: float) -> Noise:
    """The machine grows slower (or faster) by `whole` from the first cell to the last, steadily."""

    def session(draw: random.Random, cells: int) -> list[float]:
        slope = draw.choice((1, -1)) * math.log1p(whole) / cells
        return [math.exp(slope * at + draw.gauss(0, sigma)) for at in range(cells)]

    return session


def neighbour(sigma: float, cost: float) -> Noise:
    """Somebody else's job comes and goes: about every tenth cell it starts, and it stays about five."""

    def session(draw: random.Random, cells: int) -> list[float]:
        found, there = [], draw.random() < 1 / 3
        for _ in range(cells):
            there = draw.random() < (0.8 if there else 0.1)
            found.append(math.exp(draw.gauss(0, sigma)) * (1 + cost * there))
        return found

    return session


def recorded(scenario: str, figure: str) -> Noise:
    """Stretches of recorded sessions, put one after the other."""

    def session(draw: random.Random, cells: int) -> list[float]:
        found: list[float] = []
        while len(found) < cells:
            series = draw.choice(_series()[scenario][figure])
            start = draw.randrange(len(series))
            found += [series[(start + at) % len(series)] for at in range(STRETCH)]
        return found[:cells]

    return session


def recorded_lives(scenario: str, instrumented: str) -> Lives:
    """Recorded process lives of a counted run, put one after the other. An instrumented form has those of this one."""

    def form(draw: random.Random, role: str, blocks: int) -> list[float]:
        lives, found = _series()[scenario][instrumented if role == "instrumented" else BARE], list[float]()
        while len(found) < blocks:
            found += draw.choice(lives)
        return found[:blocks]

    return form


@lru_cache(maxsize=1)
def _series() -> Mapping[str, Mapping[str, list[list[float]]]]:
    found: dict[str, dict[str, list[list[float]]]] = json.loads(RECORDED.read_text(encoding="utf-8"))["series"]
    return found


# name -> noise of CPU per request and of the median latency, or of instructions per request
KINDS: Final[dict[str, tuple[Noise, Noise] | Lives]] = {
    "normal, 1 %": (normal(0.01), normal(0.02)),
    "normal, 10 %": (normal(0.10), normal(0.15)),
    "heavy tails (t3), 3 %": (heavy(0.03), heavy(0.05)),
    "drift of 20 % over the session": (drift(QUIET, 0.2), drift(0.02, 0.2)),
    "slow neighbour, +30 %": (neighbour(QUIET, 0.3), neighbour(0.02, 0.5)),
    "recorded, http at 200/s": (recorded("http", "cpu"), recorded("http", "p50")),
    "recorded, shop at 100/s": (recorded("shop", "cpu"), recorded("shop", "p50")),
    "counted and recorded, shop, `orchestrion-otel`": recorded_lives("shop counted", "orchestrion-otel"),
    "counted and recorded, shop, `ebpf`": recorded_lives("shop counted", "ebpf"),
}


def counted(kind: str) -> bool:
    return callable(KINDS[kind])


def blocks_of(kind: str) -> tuple[int, ...]:
    """As many as the profiles of that clock have."""
    return (20,) if counted(kind) else (8, 12)
