"""One thing that `lab show --check` looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab.stage.show.show import ORDERS, Beat

About = Literal["host", "machine", "forms", "build", "pillar", "command", "note"]
STRUCK: dict[About, tuple[str, ...]] = {
    "machine": ORDERS,
    "forms": ORDERS,  # a command in the machine needs none of them
    "build": ("build",),
    "pillar": ("pillar",),
    "command": ("command",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """`about`: which beats cannot be live when it failed; "host": the show as a whole; "note": none. `beats`: only
    those of them, by id; default: all."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    text: str
    fix: str = ""
    about: About = "note"
    beats: tuple[str, ...] = ()

    @staticmethod
    def good(name: str, text: str) -> Point:
        return Point(name=name, verdict="ok", text=text)

    @staticmethod
    def warned(name: str, text: str, fix: str) -> Point:
        return Point(name=name, verdict="warn", text=text, fix=fix)

    @staticmethod
    def failed(name: str, text: str, fix: str, about: About, *, beats: tuple[str, ...] = ()) -> Point:
        verdict: Literal["warn", "fail"] = "warn" if about == "note" else "fail"
        return Point(name=name, verdict=verdict, text=text, fix=fix, about=about, beats=beats)

    def strikes(self, beat: Beat) -> bool:
        """Whether this beat cannot be live."""
        if self.beats and beat.id not in self.beats:
            return False
        on_machine = self.about == "machine" and beat.does.on_machine
        return on_machine or beat.keys.kind in STRUCK.get(self.about, ())
