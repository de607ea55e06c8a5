"""What the judge makes of the samples of a file: per injector what was named, precision and recall per cause.

A sample is held to the rehearsals before it. Nothing is run: a file that was collected once can be judged by other
limits. Limits that were tuned by a file need another one to be counted by.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lab.guest.wire.live import Accepted, LiveEvent, RequestEnded, live_from_json
from lab.stage.beat.readings import readings
from lab.stage.beat.signals import Signals, of
from lab.stage.diagnosis.causes import explain
from lab.stage.diagnosis.judge import Usual, usual
from lab.stage.diagnosis.observed import Observations
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
    return [_whole(live_from_json(doc["kind"], doc["data"])) for doc in sample["events"]]


def _whole(event: LiveEvent) -> LiveEvent:
    """An earlier guest did not tell how many spans are out of place. The nodes of these requests have one span each:
    it follows from the nodes."""
    if not isinstance(event, RequestEnded) or event.misplaced is not None:
        return event
    elsewhere = {span for span, node in event.node_of.items() if node in event.wrong_parent}
    return replace(event, misplaced=len(elsewhere.union(event.parent_missing)))


def _readings(sample: dict[str, Any]) -> tuple[Value, ...]:
    events = _events(sample)
    return readings(events, at_ms=0.0, counted=any(isinstance(e, Accepted) and e.clock == "counted" for e in events))


def signals_of(sample: dict[str, Any]) -> Signals:
    host = {name: sample.get(name) for name in ("host_others", "host_waited")}
    return of(_events(sample), **host)


def told(known: Usual, sample: dict[str, Any]) -> tuple[list[Value], dict[str, Any]]:
    """The values as a show tells them, and the window that they are of: the second one, where the first left a doubt
    (`lab.stage.kinds.load`)."""
    first = _readings(sample)
    if not sample.get("again") or known.doubt(BEAT, first) is None:
        return [known.judged(BEAT, value) for value in first], sample
    before = {(one.name, one.form): one for one in first}
    second = {(one.name, one.form): one for one in _readings(sample["again"])}
    return [
        known.judged(BEAT, second.get(name, value), value if name in second else None) for name, value in before.items()
    ], sample["again"]


def judged(samples: Iterable[dict[str, Any]]) -> list[Judged]:
    """In the order in which they were taken."""
    past: list[Rehearsal] = []
    seen: list[Signals] = []
    found = []
    for one in samples:
        if one["injector"].startswith("rehearsal"):
            past = [*past, _rehearsal(len(past), _readings(one))][-KEPT:]
            seen = [*seen, signals_of(one)][-KEPT:]
            continue
        known = usual(past)
        values, window = told(known, one)
        off = [value for value in values if value.judged == "off"]
        changed = tuple(one["changed"])
        scene = Observations(
            beat=BEAT, values=values, now=signals_of(window), rehearsed=seen, usual=known, changed=changed
        )
        causes = explain(scene) if off or changed else ()
        said = (causes[0].name or NONE) if causes else ON
        names = tuple(f"{value.name} of {value.form}" for value in off)
        found.append(Judged(round=one["round"], injector=one["injector"], said=said, off=names))
    return found


def _rehearsal(number: int, values: Sequence[Value]) -> Rehearsal:
    figures = tuple(
        Figure(beat=BEAT, name=v.name, unit=v.unit, value=v.value, form=v.form, ratio=v.ratio) for v in values
    )
    return Rehearsal(id=f"{number:04}", date="", inputs=Inputs(show="", seed=1), beats=(), seconds=1.0, figures=figures)


def table(file: Path) -> str:
    """Markdown: the confusion table, then recall and precision of each cause with 95 % intervals."""
    found = judged(read(file))
    lines = ["| injected | samples | the cause | named | what else was said |", "|---|---|---|---|---|"]
    for name, injector in ALL.items():
        said = Counter(one.said for one in found if one.injector == name)
        if total := sum(said.values()):
            hits = said[injector.truth] if injector.truth else said[ON]
            hits += said[ON] if injector.truth and injector.mild else 0
            hits += said[NONE] if name.startswith("unlisted") else 0
            others = ", ".join(f"{what} {count}" for what, count in said.most_common() if what != injector.truth)
            lines.append(f"| {name} | {total} | {injector.truth or '(none)'} | {Share(hits, total)} | {others} |")
    lines += ["", "| cause | recall | recall where a value was off | precision |", "|---|---|---|---|"]
    for cause in dict.fromkeys(injector.truth for injector in ALL.values() if injector.truth):
        of = [one for one in found if ALL[one.injector].truth == cause]
        if not of:
            continue
        right = [one for one in of if one.said == cause]
        mild = [one for one in of if one.said == ON and ALL[one.injector].mild]
        off = [one for one in of if one.said != ON]
        named = [one for one in found if one.said == cause]
        counts = ((len(right) + len(mild), len(of)), (len(right), len(off)), (len(right), len(named)))
        lines.append(f"| {cause} | {' | '.join(str(Share(*count)) if count[1] else '—' for count in counts)} |")
    return "\n".join(lines)
