"""What beats need that no machine gives: a run for a pillar, the Go of a build, the program of a command here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.machines import lifecycle
from lab.model.errors import LabError
from lab.model.lab import Lab
from lab.stage.beat import host_program
from lab.stage.kinds import pillar
from lab.stage.kinds.build import BuildBeat
from lab.stage.kinds.command import CommandBeat
from lab.stage.kinds.pillar import PillarBeat
from lab.stage.prepare.points import About, Point
from lab.stage.show.show import Beat, Show
from lab.system.toolchain import at_hand
from lab.system.wait import Deadline

ASK_S: Final = 20.0
ABOUT: Final[dict[str, About]] = {"runs": "pillar", "build": "build", "commands": "command"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatChecks:
    """Of the beats of the slot. `again`: the command that rehearses this show there."""

    lab: Lab
    machine: str
    show: Show
    beats: Sequence[Beat]
    again: str

    def looks(self) -> dict[str, Callable[[], Sequence[Point]]]:
        """By name, each to be called on its own; only those that a beat needs."""
        kinds = {beat.keys.kind for beat in self.beats}
        looks = {"runs": self._runs, "build": self._build, "commands": self._commands}
        return {name: look for name, look in looks.items() if ABOUT[name] in kinds}

    def _runs(self) -> list[Point]:
        """The run that each pillar would show, as it looks for it itself and reads it."""
        found = lifecycle.machine(self.lab, self.machine)
        clock = found.clock if found is not None else "real"
        runs: dict[Path, list[Beat]] = defaultdict(list)
        lost: dict[tuple[str, str], list[Beat]] = defaultdict(list)  # by what is wrong, and its fix
        for beat in self.beats:
            if isinstance(beat.does, PillarBeat):
                try:
                    runs[beat.does.run_of(self.lab.paths, self.show.asked, clock)].append(beat)
                except LabError as error:
                    fix = error.fix if beat.does.run else f"{self.again}, or {error.fix}"
                    lost[error.message, fix].append(beat)
        points = []
        for run, beats in runs.items():
            try:
                pillar.proven(run)
                points.append(Point.good("runs", f"run {run.name} is shown by {_titles(beats)}"))
            except LabError as error:  # another rehearsal would find the same run
                lost[error.message, error.fix] += beats
        return points + _lost("runs", lost, "pillar")

    def _build(self) -> list[Point]:
        """The Go of each form that is built: to fetch it takes longer than a beat has."""
        known = {form.name: form.build.toolchain for form in self.show.asked.forms if form.build is not None}
        wanted: dict[str, list[Beat]] = defaultdict(list)
        for beat in self.beats:
            if isinstance(beat.does, BuildBeat) and beat.does.form in known:
                wanted[known[beat.does.form]].append(beat)
        points = []
        for version, beats in wanted.items():
            if at_hand(self.lab, version, Deadline.after(ASK_S, self.lab.cancel)) is not None:
                points.append(Point.good("build", f"{version} is on this host"))
            else:
                text = f"{_titles(beats)}: {version} is not on this host: the build would fetch it"
                struck = tuple(beat.id for beat in beats)
                points.append(Point.failed("build", text, self.again, "build", beats=struck))
        return points

    def _commands(self) -> list[Point]:
        """The program of each command of this host, looked for as the beat does."""
        there: list[Beat] = []
        lost: dict[tuple[str, str], list[Beat]] = defaultdict(list)  # by what is wrong, and its fix
        for beat in self.beats:
            if isinstance(beat.does, CommandBeat) and not beat.does.on_machine:
                try:
                    host_program.found(beat.does.argv[0], self.show.folder)
                    there.append(beat)
                except LabError as error:
                    lost[error.message, error.fix].append(beat)
        found = [Point.good("commands", f"{_titles(there)}: found on this host")] if there else []
        return found + _lost("commands", lost, "command")


def _lost(name: str, lost: Mapping[tuple[str, str], Sequence[Beat]], about: About) -> list[Point]:
    """The beats that lack something, by what is wrong and its fix."""
    return [
        Point.failed(name, f"{_titles(beats)}: {why}", fix, about, beats=tuple(beat.id for beat in beats))
        for (why, fix), beats in lost.items()
    ]


def _titles(beats: Sequence[Beat]) -> str:
    return ", ".join(beat.keys.title for beat in beats)
