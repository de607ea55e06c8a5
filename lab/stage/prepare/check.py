"""GO, GO WITH FALLBACK or NO-GO: all that a show needs, looked at in parallel, ten minutes before it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lab.model.lab import Lab
from lab.stage.history import checked, inputs, ledger, takes
from lab.stage.history.inputs import Inputs
from lab.stage.history.ledger import Rehearsal
from lab.stage.play.opening import beats_of, second_of
from lab.stage.prepare import host_checks
from lab.stage.prepare.beat_checks import BeatChecks
from lab.stage.prepare.looks import Look, at_once
from lab.stage.prepare.machine_checks import MachineChecks
from lab.stage.prepare.points import Point
from lab.stage.prepare.rehearsal import has_fallback, needs
from lab.stage.prepare.rehearsing import RUNS
from lab.stage.show import advice
from lab.stage.show.show import Beat, Show

Word = Literal["GO", "GO WITH FALLBACK", "NO-GO"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoVerdict:
    """Titles of the beats that cannot be live: `beats`: their take has to do; `skipped`: the show goes on without them;
    `unshown`: it waits for a key there. `fix`: of what makes it a NO-GO."""

    word: Word
    points: tuple[Point, ...]
    beats: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    unshown: tuple[str, ...] = ()
    fix: str = ""
    why: str = ""

    def line(self) -> str:
        if self.word == "GO WITH FALLBACK":
            told = ((self.beats, "recorded"), (self.skipped, "skipped"), (self.unshown, "not shown"))
            listed = [f"{', '.join(titles)} ({how})" for titles, how in told if titles]
            return f"GO WITH FALLBACK: {'; '.join(listed)}"
        return self.word if self.word == "GO" else f"NO-GO: {self.why}; fix: {self.fix}"


def check(lab: Lab, show: Show, *, minutes: float | None = None, port: int = 0, standby: str = "") -> GoVerdict:
    """Look at everything at once. What does not answer in time is a point that failed.

    What the second machine, `standby`, lacks are warnings: the show goes on without it. Raises UsageError.
    """
    second_of(lab, standby)
    beats = beats_of(show, minutes)
    own = replace(lab, cancel=threading.Event())  # ends what does not answer in time
    name = lab.config.machine.name
    machine = MachineChecks(lab=own, machine=name, show=show, again=advice.rehearse(show, name, minutes))
    looks: dict[str, Look] = {**host_checks.looks(lab.paths.home, port), **_looks(machine, beats)}
    second = MachineChecks(lab=own, machine=standby, show=show, again=advice.rehearse(show, standby, minutes))
    asked = _looks(second, beats) if standby else {}
    everything = {**looks, **{f"{standby}: {name}": look for name, look in asked.items()}}
    found = at_once(everything, stop=lab.cancel, end=own.cancel)
    points = [point for name in looks for point in found[name]]
    usable = _takes(lab, show, beats, machine)
    points += _rehearsed(lab, show, beats, machine, minutes, usable)
    if asked:
        told = [point for name in asked for point in found[f"{standby}: {name}"]]
        told += _rehearsed(lab, show, beats, second, minutes, _takes(lab, show, beats, second))
        points += [_of_second(standby, point) for point in told]
    verdict = judge(points, beats, usable)
    with contextlib.suppress(OSError):  # a full disk is one of the points
        checked.note(takes.folder(lab.paths, machine.machine, show.name), verdict.word)
    return verdict


def _looks(machine: MachineChecks, beats: Sequence[Beat]) -> dict[str, Look]:
    """What these beats need on that machine, and beside it."""
    beside = BeatChecks(lab=machine.lab, machine=machine.machine, show=machine.show, beats=beats, again=machine.again)
    return {**(machine.looks() if any(beat.needs_machine for beat in beats) else {}), **beside.looks()}


def _of_second(machine: str, point: Point) -> Point:
    """A point of the second machine: it only warns."""
    name = f"{machine}: {point.name.removeprefix(f'{machine}: ')}"  # of a look that failed as a whole
    if point.verdict == "ok":
        return replace(point, name=name)
    return replace(point, name=name, verdict="warn", about="note")


def judge(points: Sequence[Point], beats: Sequence[Beat], usable: Mapping[str, str]) -> GoVerdict:
    """The one word. usable: beat -> why its take cannot be played, "" when it can.

    A failed point stops the show where a beat that it strikes needs its take and has none; a point that strikes no beat
    always does. What else becomes of a struck beat is what the show does with one that fails.
    """
    struck: set[str] = set()
    for point in points:
        if point.verdict != "fail":
            continue
        hit = [beat for beat in beats if point.strikes(beat)]
        lost = [beat for beat in hit if has_fallback(beat) and usable.get(beat.id, "there is no take of it")]
        if point.about == "host" or lost:
            return GoVerdict(word="NO-GO", points=tuple(points), why=point.text, fix=point.fix)
        struck.update(beat.id for beat in hit)
    hit = [beat for beat in beats if beat.id in struck]
    rest = [beat for beat in hit if not has_fallback(beat)]
    return GoVerdict(
        word="GO WITH FALLBACK" if hit else "GO",
        points=tuple(points),
        beats=_titles(filter(has_fallback, hit)),
        skipped=_titles(beat for beat in rest if beat.keys.else_ == "skip"),
        unshown=_titles(beat for beat in rest if beat.keys.else_ != "skip"),
    )


def _titles(beats: Iterable[Beat]) -> tuple[str, ...]:
    return tuple(beat.keys.title for beat in beats)


def _takes(lab: Lab, show: Show, beats: Sequence[Beat], machine: MachineChecks) -> dict[str, str]:
    place = takes.folder(lab.paths, machine.machine, show.name)
    known = machine.profile.inputs if machine.profile is not None else inputs.of_host(show)
    found = {}
    for beat in beats:
        take = takes.usable(place, beat.id, known)
        found[beat.id] = take if isinstance(take, str) else ""
    return found


def _rehearsed(
    lab: Lab,
    show: Show,
    beats: tuple[Beat, ...],
    machine: MachineChecks,
    minutes: float | None,
    usable: Mapping[str, str],
) -> list[Point]:
    """Takes that are missing and what the rehearsals lack: a warning, since the live beats may all go well."""
    points = [
        Point.warned("takes", f"{beat.keys.title}: {usable[beat.id]}", machine.again)
        for beat in filter(has_fallback, beats)
        if usable[beat.id]
    ]
    rehearsals = ledger.read(takes.folder(lab.paths, machine.machine, show.name))
    now = _inputs(show, beats, machine, rehearsals)
    if now is None:
        text = f"not compared with what is shown: machine {machine.machine} {machine.other or 'could not be asked'}"
        fix = machine.brings_back() if machine.other else "make the machine answer, then lab show --check"
        return [*points, Point.warned("rehearsals", text, fix)]
    missing = ledger.stage_ready(rehearsals, now, needs(beats, (minutes or show.keys.slot_min) * 60, RUNS))
    points += [Point.warned("rehearsals", lack, machine.again) for lack in missing]
    return points or [Point.good("rehearsals", "stage-ready")]


def _inputs(
    show: Show, beats: Sequence[Beat], machine: MachineChecks, rehearsals: Sequence[Rehearsal]
) -> Inputs | None:
    """What the rehearsals are compared with; None where a machine that beats need could not be asked."""
    if machine.profile is not None:
        return machine.profile.inputs
    if any(beat.needs_machine for beat in beats):
        return None
    last = rehearsals[-1].inputs if rehearsals else None
    return inputs.of_host(show).on(last)
