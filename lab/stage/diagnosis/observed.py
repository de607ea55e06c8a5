"""What a cause is looked for in: the judged values of a beat, what each is about, and on which side it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from lab.stage.beat.signals import Signals
from lab.stage.diagnosis.judge import COUNTS, FigureKey, Usual
from lab.stage.stream.events import Value

Kind = Literal["time", "work", "memory", "spans", "errors", "count"]
BELOW: Final = -1
EITHER: Final = 0
ABOVE: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """All that is looked at: the judged values of a beat, its signals now and in the rehearsals that count.

    again: whether the beat may be repeated after it passed.
    """

    beat: str
    values: Sequence[Value]
    now: Signals
    rehearsed: Sequence[Signals] = ()
    usual: Usual = field(default_factory=Usual)
    changed: tuple[str, ...] = ()  # inputs, as `inputs.differences` words them
    again: bool = False

    @property
    def off(self) -> list[Value]:
        """The worst first."""
        return [value for word in ("off", "a bit off") for value in self.values if value.judged == word]

    @property
    def forms(self) -> set[str]:
        """Those that have a value that is off."""
        return {value.form for value in self.off} - {""}

    def side(self, value: Value) -> int:
        """Where a value itself is, whatever its ratio is: BELOW or ABOVE its interval; EITHER: it is inside, or was
        never rehearsed."""
        key = FigureKey(self.beat, value.name, value.form)
        return self.usual.outside(key, value.value) if key in self.usual.ranges else EITHER


def kind(value: Value) -> Kind:
    """What a value is about."""
    if value.unit == "spans":
        return "spans"
    if value.unit == "errors":
        return "errors"
    if value.unit in COUNTS:
        return "count"
    if value.unit == "MiB":
        return "memory"
    return "work" if value.name.startswith(("cpu", "instructions")) else "time"


def rehearsed(value: Value) -> str:
    """Today's figure beside the rehearsed interval."""
    whose = f" of {value.form}" if value.form else ""
    figure = f"{value.title}{whose}: {value.value:.3g} {value.unit}".rstrip()
    if value.low is None or value.high is None:
        return f"{figure}, never rehearsed"
    low, high = value.low, value.high
    if value.unit in COUNTS and math.ceil(low) <= math.floor(high):  # the whole numbers in it
        low, high = math.ceil(low), math.floor(high)
    span = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    return f"{figure}; {span} in rehearsal"
