"""What rehearsals leave, one file each, and what is still missing before a show is ready for the stage.

A file is written once, whole, and never changed: whatever is killed, the ledger holds whole rehearsals only.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.guest.wire import encode
from lab.model.errors import Unreadable
from lab.stage.beat.signals import Signals
from lab.stage.history.inputs import Inputs, differences
from lab.stage.stream.events import Outcome
from lab.system import documents, store
from lab.system.documents import Source

FOLDER: Final = "rehearsals"
RUNS: Final = 5
NEWEST: Final = 100
QUANTILE: Final = 0.95
SLEPT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatResult:
    """How one beat of a rehearsal went, its repetitions included; with keys `seconds` are until the next beat began.
    `drilled`: it passed, and its fallback was played too."""

    beat: str  # id
    outcome: Outcome
    seconds: float
    drilled: bool = False

    @property
    def clean(self) -> bool:
        return self.outcome == "passed" or self.drilled


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One value of a rehearsal, as its `Value` event has it."""

    beat: str
    name: str
    unit: str
    value: float
    form: str = ""
    ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatSignals:
    """What was seen beside the figures of one beat."""

    beat: str
    signals: Signals


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """One run of the whole show. `id` sorts by time; `seconds`: from its first beat to the end of its last."""

    id: str
    date: str  # UTC, ISO 8601
    inputs: Inputs
    beats: tuple[BeatResult, ...]
    seconds: float
    figures: tuple[Figure, ...] = ()
    signals: tuple[BeatSignals, ...] = ()
    network_cut: bool = False
    whole: bool = True  # False: it was stopped before its last beat
    slept_s: float = 0.0  # how long this laptop slept in it

    @property
    def clean(self) -> bool:
        """Whether every beat showed what it must, on a laptop that was awake."""
        return self.clean_in({beat.beat for beat in self.beats})

    def clean_in(self, beats: Collection[str]) -> bool:
        """The same of those beats alone, as far as it has them."""
        return self.whole and self.slept_s <= SLEPT_S and self.passed_in(beats)

    def passed_in(self, beats: Collection[str]) -> bool:
        """Whether those of these beats that it played showed what they must, whatever else became of it."""
        return all(beat.clean for beat in self.beats if beat.beat in beats)

    def unclean_in(self, beats: Collection[str]) -> str:
        """Why it is not clean, where it is not: the beats, else what became of it."""
        missed = [f"{beat.beat} {beat.outcome}" for beat in self.beats if beat.beat in beats and not beat.clean]
        slept = f"this laptop slept for {self.slept_s:.0f} s"
        return ", ".join(missed) or (slept if self.slept_s > SLEPT_S else "stopped early")

    def lacks(self, beats: Collection[str]) -> list[str]:
        """The beats among these that it did not play: it was one of a shorter slot."""
        played = {beat.beat for beat in self.beats}
        return [beat for beat in beats if beat not in played]

    def takes_s(self, says: Mapping[str, float]) -> float:
        """What those beats take, each the longer of what it took and of its `say_s`."""
        return sum(max(beat.seconds, says[beat.beat]) for beat in self.beats if beat.beat in says)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a slot of a show asks of its rehearsals. `says`: id -> `say_s` of each beat of the slot; `fallbacks`: id ->
    title of each that has one."""

    slot_s: float
    says: Mapping[str, float]
    fallbacks: Mapping[str, str]
    runs: int = RUNS


def add(folder: Path, rehearsal: Rehearsal) -> Path:
    """Keep it. `folder`: where this show keeps what its rehearsals leave on one machine."""
    path = folder / FOLDER / f"{rehearsal.id}.json"
    store.write_json(path, encode(rehearsal))
    return path


def read(folder: Path) -> list[Rehearsal]:
    """The newest, oldest first; what cannot be read is no rehearsal."""
    found = []
    for path in sorted((folder / FOLDER).glob("*.json"))[-NEWEST:]:
        try:
            found.append(documents.read(Source(path=path, name=path.name, fix=f"remove {path}"), Rehearsal))
        except Unreadable:
            continue
    return found


def clean_ones(rehearsals: Sequence[Rehearsal], inputs: Inputs, beats: Collection[str] = ()) -> list[Rehearsal]:
    """The clean ones on these inputs, which values are judged by. beats: of a slot; what went wrong in a beat that it
    cuts does not count, and ones of a shorter slot tell of the beats that they have."""
    return [one for one in rehearsals if one.inputs == inputs and (one.clean_in(beats) if beats else one.clean)]


def streak(rehearsals: Sequence[Rehearsal], inputs: Inputs, beats: Collection[str]) -> list[Rehearsal]:
    """The clean ones in a row on these inputs, up to the newest on them. beats: of a slot. Ones of a shorter slot, that
    a key ended between two beats, or in which the laptop slept do not count; where what they played passed they break
    nothing."""
    found: list[Rehearsal] = []
    for rehearsal in rehearsals:
        if rehearsal.inputs != inputs:
            continue
        if not rehearsal.passed_in(beats):
            found = []
        elif rehearsal.clean_in(beats) and not rehearsal.lacks(beats):
            found = [*found, rehearsal]
    return found


def stage_ready(rehearsals: Sequence[Rehearsal], inputs: Inputs, needs: Needs) -> tuple[str, ...]:
    """What is still missing, one sentence each; nothing: the show is ready for the stage."""
    same = [rehearsal for rehearsal in rehearsals if rehearsal.inputs == inputs]
    clean = streak(rehearsals, inputs, needs.says)
    return (*_changed(rehearsals, inputs), *_missing(same, clean, needs))


def _changed(rehearsals: Sequence[Rehearsal], inputs: Inputs) -> tuple[str, ...]:
    """Why the last rehearsal does not count: every input that is another one now."""
    if not rehearsals or rehearsals[-1].inputs == inputs:
        return ()
    return differences(rehearsals[-1].inputs, inputs)


def _missing(same: Sequence[Rehearsal], clean: Sequence[Rehearsal], needs: Needs) -> list[str]:
    found = []
    if (short := needs.runs - len(clean)) > 0:
        found.append(f"{short} more clean rehearsal{'s' if short > 1 else ''} in a row{_last(same, needs.says)}")
    if clean and (total := p95([rehearsal.takes_s(needs.says) for rehearsal in clean])) > needs.slot_s:
        found.append(f"the show takes {total:.0f} s in 95 of 100 rehearsals; its slot has {needs.slot_s:.0f} s")
    played = {beat.beat for rehearsal in same for beat in rehearsal.beats if beat.drilled or beat.outcome == "recorded"}
    for beat, title in needs.fallbacks.items():
        if beat not in played:
            found.append(f"the fallback of “{title}” was never played")
    cut = [rehearsal for rehearsal in same if rehearsal.network_cut and not rehearsal.lacks(needs.says)]
    if not any(rehearsal.clean_in(needs.says) for rehearsal in cut):
        found.append("no clean rehearsal with the network cut")
    return found


def _last(same: Sequence[Rehearsal], beats: Collection[str]) -> str:
    """Why the last rehearsal does not count, where it does not."""
    if not same:
        return ""
    if same[-1].clean_in(beats):
        lacking = same[-1].lacks(beats)
        return f" (the last one was without {', '.join(lacking)})" if lacking else ""
    return f" (the last one: {same[-1].unclean_in(beats)})"


def p95(seconds: Sequence[float]) -> float:
    """The 95th percentile by nearest rank: of fewer than 20 the longest."""
    return sorted(seconds)[math.ceil(QUANTILE * len(seconds)) - 1]
