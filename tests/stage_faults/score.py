"""What the judge makes of the samples of a file: per injector what was named, precision and recall per cause.

A sample is held to the rehearsals before it. Rounds of even number were there to tune limits by; only the odd ones
are counted in the table.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.guest.wire.live import LiveEvent, live_from_json
from lab.stage.beat.readings import readings
from lab.stage.beat.signals import Signals, of
from lab.stage.diagnosis.causes import Observations, explain
from lab.stage.diagnosis.judge import usual
from lab.stage.history.inputs import Inputs
from lab.stage.history.ledger import Figure, Rehearsal
from lab.stage.stream.events import Value
from tests.simulate.study import Share
from tests.stage_faults.injectors import INJECTORS
from tests.stage_faults.machine import IN_A_MACHINE

BEAT: Final = "load"
ALL: Final = {**INJECTORS, **IN_A_MACHINE["real"], **IN_A_MACHINE["counted"]}
KEPT: Final = 10  # rehearsals that a sample is held to: the newest before it
ON: Final = "(all ON)"
NONE: Final = "no cause found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One sample as the screen would tell it."""

    round: int
    injector: str
    said: str
    off: tuple[str, ...]


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _events(sample: dict[str, Any]) -> list[LiveEvent]:
    return [live_from_json(doc["kind"], doc["data"]) for doc in sample["events"]]


def signals_of(sample: dict[str, Any]) -> Signals:
    return of(_events(sample), host_others=sample.get("host_others"))


def judged(samples: Iterable[dict[str, Any]]) -> list[Judged]:
    """In the order in which they were taken."""
    past: list[Rehearsal] = []
    seen: list[Signals] = []
    found = []
    for one in samples:
        values, signals = readings(_events(one), at_ms=0.0), signals_of(one)
        if one["injector"].startswith("rehearsal"):
            past = [*past, _rehearsal(len(past), values)][-KEPT:]
            seen = [*seen, signals][-KEPT:]
            continue
        known = usual(past)
        told = [known.judged(BEAT, value) for value in values]
        off = [value for value in told if value.judged == "off"]
        scene = Observations(
            beat=BEAT, values=told, now=signals, rehearsed=seen, usual=known, changed=tuple(one["changed"])
        )
        causes = explain(scene) if off or one["changed"] else ()
        said = (causes[0].name or NONE) if causes else ON
        names = tuple(f"{value.name} of {value.form}" for value in off)
        found.append(Judged(round=one["round"], injector=one["injector"], said=said, off=names))
    return found


def _rehearsal(number: int, values: Sequence[Value]) -> Rehearsal:
    figures = tuple(
        Figure(beat=BEAT, name=v.name, unit=v.unit, value=v.value, form=v.form, ratio=v.ratio) for v in values
    )
    return Rehearsal(id=f"{number:04}", date="", inputs=Inputs(show="", seed=1), beats=(), seconds=1.0, figures=figures)


def table(file: Path, *, tuned: bool = True) -> str:
    """Markdown: the confusion table, then recall and precision of each cause with 95 % intervals. tuned: limits were
    tuned by the even rounds of this file, so only the odd ones count."""
    found = [one for one in judged(read(file)) if one.round % 2 or not tuned]
    lines = ["| injected | samples | the cause | named | what else was said |", "|---|---|---|---|---|"]
    for name, injector in ALL.items():
        said = Counter(one.said for one in found if one.injector == name)
        if total := sum(said.values()):
            hits = said[injector.truth] if injector.truth else said[ON]
            hits += said[NONE] if name.startswith("unlisted") else 0
            others = ", ".join(f"{what} {count}" for what, count in said.most_common() if what != injector.truth)
            lines.append(f"| {name} | {total} | {injector.truth or '(none)'} | {Share(hits, total)} | {others} |")
    lines += ["", "| cause | recall | recall where a value was off | precision |", "|---|---|---|---|"]
    for cause in dict.fromkeys(injector.truth for injector in ALL.values() if injector.truth):
        of = [one for one in found if ALL[one.injector].truth == cause]
        off = [one for one in of if one.said != ON]
        named = [one for one in found if one.said == cause]
        right = [one for one in of if one.said == cause]
        if not of:
            continue
        shares = [str(Share(len(right), len(base))) if base else "—" for base in (of, off, named)]
        lines.append(f"| {cause} | {' | '.join(shares)} |")
    return "\n".join(lines)
