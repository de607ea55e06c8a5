"""Short messages at the foot of the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab.stage.stream.events import Remark

STAYS_S: Final = 30.0
TURN_S: Final = 8.0  # how long a warning stays while others wait for its place
MOST: Final = 12  # that are kept


@dataclass(slots=True, eq=False)
class Noticed:
    """waits: it is there until it was on the screen long enough to be read; anything else is old news after a time."""

    remark: Remark
    told_s: float
    waits: bool
    since_s: float | None = None  # on the screen; None: it is not


class Remarks:
    """The newest come first. A warning that has no place yet, or had to make room, comes after them."""

    def __init__(self) -> None:
        self._kept: list[Noticed] = []

    def add(self, remark: Remark, told_s: float, *, waits: bool = False) -> None:
        """One more. The same words again take the place of the earlier ones; of too many, the oldest that does not wait
        is dropped first."""
        self._kept = [one for one in self._kept if one.remark.text != remark.text]
        self._kept.append(Noticed(remark, told_s, waits))
        if len(self._kept) > MOST:
            self._kept.remove(next((one for one in self._kept if not one.waits), self._kept[0]))

    def newest(self, now_s: float, most: int) -> list[Remark]:
        """What is to be shown now, at most so many."""
        stays_s = TURN_S if len(self._kept) > most else STAYS_S
        self._kept = [one for one in self._kept if not self._gone(one, now_s, stays_s)]
        return [one.remark for one in self._kept[::-1][:most]]

    @staticmethod
    def _gone(one: Noticed, now_s: float, stays_s: float) -> bool:
        if not one.waits:
            return now_s - one.told_s >= STAYS_S
        return one.since_s is not None and now_s - one.since_s >= stays_s

    def seen(self, now_s: float, count: int) -> None:
        """So many of `newest` are on the screen since then."""
        shown = self._kept[::-1][:count]
        for one in self._kept:
            one.since_s = (now_s if one.since_s is None else one.since_s) if one in shown else None
