"""How often a clean show is called off, by simulation, as a Markdown table with 95 % intervals.

    ./labw python -m tests.simulate.shows [-n SHOWS]

A show is m figures, rehearsed n times and shown once, by the product's own judge. Figures vary by 5 %, each
by its own share more or less (a spread of 30 %), in groups of four forms: `alone`, or `together`, half of the variance
being common to all figures of a moment, as on one machine. Forms that are `unlike` vary by other shares, the last one
the most; the figure that really changes is of the first form.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lab.stage.diagnosis.judge import FigureKey, PastValues, Usual, ranges
from lab.stage.stream.events import Judgement
from tests.simulate.__main__ import table
from tests.simulate.study import Share

SPREAD: Final = 0.05
EQUAL: Final = (1.0, 1.0, 1.0, 1.0)
WIDTHS: Final = 0.3
FORMS: Final = 4
GROWN: Final = 1.3  # a figure that really changed
Draw = Callable[[random.Random], float]


def normal(draw: random.Random) -> float:
    return draw.gauss()


def heavy(draw: random.Random) -> float:
    """Student's t with three degrees of freedom."""
    return draw.gauss() / math.sqrt(sum(draw.gauss() ** 2 for _ in range(3)) / 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """`common`: the part of the variance that all figures of a moment share; `drift`: from one rehearsal to the next,
    in spreads; `lasts`: the part of the variance that stays until the second window is over; `forms`: spread of each
    form, in SPREAD."""

    one: Draw = normal
    common: float = 0.0
    drift: float = 0.0
    counted: bool = False
    lasts: float = 0.0
    forms: tuple[float, ...] = EQUAL


NOISE: Final[dict[str, Noise]] = {
    "normal, alone": Noise(),
    "normal, together": Noise(common=0.5),
    "normal, alone, forms unlike (5, 5, 5, 15 %)": Noise(forms=(1.0, 1.0, 1.0, 3.0)),
    "normal, alone, forms unlike (1, 1, 1, 10 %)": Noise(forms=(0.2, 0.2, 0.2, 2.0)),
    "normal, together, forms unlike (2, 2, 2, 15 %)": Noise(common=0.5, forms=(0.4, 0.4, 0.4, 3.0)),
    "heavy tails (t3), alone": Noise(one=heavy),
    "heavy tails (t3), together": Noise(one=heavy, common=0.5),
    "heavy tails (t3) that half last, alone": Noise(one=heavy, lasts=0.5),
    "heavy tails (t3) that half last, together": Noise(one=heavy, common=0.5, lasts=0.5),
    "a drift of half a spread a rehearsal": Noise(drift=0.5),
    "a drift of a spread a rehearsal": Noise(drift=1.0),
    "counts, mostly the same": Noise(counted=True),
}


def noise(draw: random.Random, kind: str, widths: Sequence[float]) -> list[float]:
    """All figures of one moment, in spreads."""
    of = NOISE[kind]
    shared = of.one(draw) * math.sqrt(of.common)
    return [width * (shared + of.one(draw) * math.sqrt(1 - of.common)) for width in widths]


def moment(spreads: Sequence[float], kind: str, widths: Sequence[float], at: int) -> list[float]:
    """All figures of one rehearsal or show."""
    of = NOISE[kind]
    moved = [spread + width * of.drift * at for spread, width in zip(spreads, widths, strict=True)]
    if of.counted:
        return [float(round(120 + 0.3 * spread)) for spread in moved]
    return [math.exp(max(-20.0, min(20.0, SPREAD * spread))) for spread in moved]


def judged(draw: random.Random, kind: str, figures: int, rehearsals: int) -> tuple[Usual, list[float], list[float]]:
    """A show's rehearsals, what it is in the end, and once more."""
    forms = NOISE[kind].forms
    widths = [forms[at % FORMS] * math.exp(draw.gauss(0, WIDTHS)) for at in range(figures)]
    past = [moment(noise(draw, kind, widths), kind, widths, at) for at in range(rehearsals)]
    values = list(zip(*past, strict=True))
    unit = "spans" if NOISE[kind].counted else "ms"
    of: dict[FigureKey, PastValues] = {}
    for at in range(0, figures, FORMS):
        for form, one in enumerate(ranges(values[at : at + FORMS], unit)):
            of[FigureKey("", f"figure {at}", f"form {form}")] = one
    lasts = NOISE[kind].lasts
    first, fresh = (noise(draw, kind, widths) for _ in range(2))
    second = [math.sqrt(lasts) * a + math.sqrt(1 - lasts) * b for a, b in zip(first, fresh, strict=True)]
    now, again = (moment(one, kind, widths, rehearsals) for one in (first, second))
    return Usual(ranges=of), now, again


def words(usual: Usual, now: Sequence[float], again: Sequence[float]) -> list[Judgement]:
    """As a show tells them: measured once more where a value is outside, and it matters."""
    told = list(zip(usual.ranges, now, strict=True))
    if not any(usual.outside(key, value) and usual.matters(key, value) for key, value in told):
        return [usual.word(key, value) for key, value in told]
    return [usual.word(key, value, first) for key, value, first in zip(usual.ranges, again, now, strict=True)]


def row(kind: str, figures: int, rehearsals: int, shows: int) -> tuple[Share, ...]:
    """Clean shows with a value that is not ON, that is OFF by one window and by two; a real change called OFF by one
    window and by two."""
    seen = [0] * 5
    for number in range(shows):
        draw = random.Random(f"{kind}/{figures}/{rehearsals}/{number}")
        usual, now, again = judged(draw, kind, figures, rehearsals)
        alone = [usual.word(key, value) for key, value in zip(usual.ranges, now, strict=True)]
        told = words(usual, now, again)
        grown = [[value * (GROWN if at == 0 else 1) for at, value in enumerate(one)] for one in (now, again)]
        key = next(iter(usual.ranges))
        seen[0] += any(word != "on" for word in told)
        seen[1] += "off" in alone
        seen[2] += "off" in told
        seen[3] += usual.word(key, grown[0][0]) == "off"
        seen[4] += words(usual, *grown)[0] == "off"
    return tuple(Share(hits, shows) for hits in seen)


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
        "OFF by one window",
        "OFF",
        "+30 % OFF by one window",
        "+30 % OFF",
    )
    table(head, ((kind, m, n, *row(kind, m, n, shows)) for kind in NOISE for m in (10, 30) for n in (5, 10)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
