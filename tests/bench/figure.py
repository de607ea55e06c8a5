"""One measured figure and the table that shows it beside its target."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: samples in `unit`, and its target where it has one (smaller is better)."""

    name: str
    samples: tuple[float, ...]
    unit: str = "s"
    target: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    def line(self) -> str:
        """One row of the table."""
        target = f"{self.target:.2f}" if self.target is not None else "-"
        ratio = f"{self.median / self.target:.2f}" if self.target else "-"
        numbers = f"{self.median:>10.3f} {min(self.samples):>9.3f} {max(self.samples):>9.3f}"
        return f"{self.name + ' [' + self.unit + ']':<44} {numbers} {target:>9} {ratio:>6}"

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self) | {"median": self.median}


def table(figures: Sequence[Figure]) -> str:
    """All figures, one line each, under a heading."""
    head = f"{'figure':<44} {'median':>10} {'min':>9} {'max':>9} {'target':>9} {'ratio':>6}"
    return "\n".join([head, *(figure.line() for figure in figures)])
