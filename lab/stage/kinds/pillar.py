"""`pillar`: one row of the table of four pillars, from a run that was measured before the show."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from lab.flows import report
from lab.flows.request import DemoRequest
from lab.guest.wire import Plan
from lab.model.errors import Unreadable, UsageError
from lab.model.figures import plural
from lab.model.key import key
from lab.model.machine import Clock
from lab.model.paths import GUEST_DIR, MANIFEST_FILE, PLAN_FILE, Paths
from lab.model.run import RunManifest
from lab.model.summary import Summary
from lab.runs import read as runs_read
from lab.stage.beat.scene import Scene
from lab.stage.kinds.kind import Kind
from lab.stage.stream import events
from lab.system import documents
from lab.system.documents import Source

T = TypeVar("T")
Name = Literal["performance", "safety", "portability", "stability"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PillarBeat(Kind):
    """Show one row of the four-pillar table with the run that it rests on."""

    NEEDED = ("pillar",)
    GIVES = ("verdict",)

    pillar: Literal["performance", "safety", "portability", "stability"] = key("performance", "Which row")
    run: str = key("", "Run that it rests on, or the beginning of its name; default: the newest of the show's scenario")

    def play(self, scene: Scene) -> None:
        directory = self.run_of(scene.lab.paths, scene.asked, scene.cast.clock)
        summary = _summary(directory)
        cells = tuple(
            events.PillarCell(form=form, words=words, evidence=_evidence(summary, form, directory))
            for form, words in _words(summary, self.pillar).items()
        )
        scene.emit(events.Pillar(at_ms=scene.at_ms(), pillar=self.pillar, cells=cells))

    def run_of(self, paths: Paths, asked: DemoRequest, clock: Clock) -> Path:
        """The run that it rests on, in a show of `asked` on this clock. Raises UsageError without one."""
        return report.find(paths, self.run) if self.run else newest(paths, asked, clock)


def proven(directory: Path) -> None:
    """Read a run as a beat does, without judging it: that takes every core. Raises FetchError, Unreadable."""
    runs_read.read(directory)


def newest(paths: Paths, asked: DemoRequest, clock: Clock) -> Path:
    """The newest whole run of the show's scenario that has each of its forms and this clock: a show that counts
    instructions has no words about time. Raises UsageError without one."""
    wanted = {form.name for form in asked.forms}
    for path in reversed(report.complete(paths)):
        try:
            manifest, plan = _read(path / MANIFEST_FILE, RunManifest), _read(path / GUEST_DIR / PLAN_FILE, Plan)
        except Unreadable:
            continue
        fits = manifest.scenario == asked.scenario.name and plan.clock == clock
        if fits and wanted <= {form.name for form in manifest.forms}:
            return path
    forms = ",".join(form.name for form in asked.forms)
    scenario = asked.scenario.name
    what = f"scenario {scenario} with the forms {forms} on a {clock} clock"
    raise UsageError(f"there is no run of {what}", fix=f"lab demo {asked.demo.scenario} --form {forms}")


@functools.lru_cache(maxsize=1)
def _summary(directory: Path) -> Summary:
    """Kept: reading a run takes seconds on a busy host, and four beats show the same one."""
    return report.summary(directory)


def _read(path: Path, kind: type[T]) -> T:
    return documents.read(Source(path=path, name=str(path), fix=f"remove {path.parent}"), kind)


def _words(summary: Summary, pillar: Name) -> dict[str, str]:
    """What the run says of each instrumented form, the verdict's word first."""
    parts: dict[str, list[str]] = {}
    if pillar == "performance":
        for line in summary.lines:
            if line.against == "baseline":
                parts.setdefault(line.form, []).append(line.word)
    for row in summary.pillars:
        for said in row.measured.split("; ") if row.pillar == pillar else ():
            form, colon, words = said.partition(": ")
            if colon and form in summary.forms:
                parts.setdefault(form, []).append(words)
    return {form: "; ".join(words) for form, words in parts.items()}


def _evidence(summary: Summary, form: str, directory: Path) -> str:
    blocks = max((row.blocks for row in summary.verdicts if (row.form, row.against) == (form, "baseline")), default=0)
    return f"run {directory.name}, {plural(blocks, 'block')}, {summary.grade.word} machine"
