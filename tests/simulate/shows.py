"""How often a clean show is called off, by simulation, as a Markdown table with 95 % intervals.

    ./labw python -m tests.simulate.shows [-n SHOWS]

A show is m figures, rehearsed n times and shown once, by the product's own judge. Figures vary by 5 %, each
by its own share more or less (a spread of 30 %), in groups of four forms: `alone`, or `together`, half of the variance
being common to all figures of a moment, as on one machine.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Sequence
from typing import Final

from lab.stage.diagnosis.judge import SHOW, FigureKey, PastValues, Usual, ranges
from tests.simulate.__main__ import table
from tests.simulate.study import Share

SPREAD: Final = 0.05
WIDTHS: Final = 0.3
FORMS: Final = 4
GROWN: Final = 1.3  # a figure that really changed
Draw = Callable[[random.Random], float]


def normal(draw: random.Random) -> float:
    return draw.gauss()


def heavy(draw: random.Random) -> float:
    """Student's t with three degrees of freedom."""
    return draw.gauss() / math.sqrt(sum(draw.gauss() ** 2 for _ in range(3)) / 3)


# name -> one draw, the common part of the variance, drift from one rehearsal to the next in spreads, counted
NOISE: Final[dict[str, tuple[Draw, float, float, bool]]] = {
    "normal, alone": (normal, 0.0, 0.0, False),
    "normal, together": (normal, 0.5, 0.0, False),
    "heavy tails (t3), alone": (heavy, 0.0, 0.0, False),
    "heavy tails (t3), together": (heavy, 0.5, 0.0, False),
    "a drift of half a spread a rehearsal": (normal, 0.0, 0.5, False),
    "a drift of a spread a rehearsal": (normal, 0.0, 1.0, False),
    "counts, mostly the same": (normal, 0.0, 0.0, True),
}


def moment(draw: random.Random, kind: str, widths: Sequence[float], at: int) -> list[float]:
    """All figures of one rehearsal or show."""
    one, common, drift, counted = NOISE[kind]
    shared = one(draw) * math.sqrt(common)
    spreads = [width * (shared + one(draw) * math.sqrt(1 - common) + drift * at) for width in widths]
    if counted:
        return [float(round(120 + 0.3 * spread)) for spread in spreads]
    return [math.exp(max(-20.0, min(20.0, SPREAD * spread))) for spread in spreads]


def judged(draw: random.Random, kind: str, figures: int, rehearsals: int) -> tuple[Usual, list[float]]:
    """A show's rehearsals, and what it is in the end."""
    widths = [math.exp(draw.gauss(0, WIDTHS)) for _ in range(figures)]
    past = [moment(draw, kind, widths, at) for at in range(rehearsals)]
    values = list(zip(*past, strict=True))
    unit = "spans" if NOISE[kind][3] else "ms"
    of: dict[FigureKey, PastValues] = {}
    for at in range(0, figures, FORMS):
        for form, one in enumerate(ranges(values[at : at + FORMS], unit)):
            of[FigureKey("", f"figure {at}", f"form {form}")] = one
    return Usual(ranges=of), moment(draw, kind, widths, rehearsals)


def row(kind: str, figures: int, rehearsals: int, shows: int) -> tuple[Share, ...]:
    """Clean shows with a value that is not ON, that is OFF, not ON by Šidák; a real change called OFF."""
    outside, off, sidak, seen = 0, 0, 0, 0
    for number in range(shows):
        usual, now = judged(random.Random(f"{kind}/{figures}/{rehearsals}/{number}"), kind, figures, rehearsals)
        told = list(zip(usual.ranges, now, strict=True))
        words = [usual.word(key, value) for key, value in told]
        outside += any(word != "on" for word in words)
        off += "off" in words
        alpha = 1 - (1 - SHOW) ** (1 / figures)
        sidak += any(not usual.ranges[key].interval(alpha).holds(value) for key, value in told)
        seen += usual.word(told[0][0], now[0] * GROWN) == "off"
    return tuple(Share(hits, shows) for hits in (outside, off, sidak, seen))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulate.shows", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("-n", "--shows", type=int, default=2000, metavar="SHOWS")
    shows = parser.parse_args().shows
    head = (
        "noise",
        "values",
        "rehearsals",
        "clean shows not all ON",
        "with OFF",
        "Šidák: not all ON",
        "+30 % called OFF",
    )
    table(head, ((kind, m, n, *row(kind, m, n, shows)) for kind in NOISE for m in (10, 30) for n in (5, 10)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
