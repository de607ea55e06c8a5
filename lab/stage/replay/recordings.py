"""What can be replayed: a run of `lab demo`, the takes of a show, one take, or a file of records."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lab.flows import report
from lab.model.errors import LabError, UsageError
from lab.model.lab import Lab
from lab.stage.history import takes
from lab.stage.history.takes import Take
from lab.stage.replay import of_run, show_records, takes_of
from lab.stage.show import advice, show_file
from lab.stage.stream.events import (
    AgentAttached,
    BeatCard,
    BeatEnded,
    BeatStarted,
    Pillar,
    RequestSent,
    ShowEnded,
    ShowStarted,
    Slide,
    StageEvent,
    Window,
    Woven,
)
from lab.stage.stream.records import StageRecord

# an event that only one kind of beat shows; an attach shows requests too, so it comes before them
TELLING: Final[dict[type[StageEvent], str]] = {
    Window: "load",
    AgentAttached: "attach",
    RequestSent: "request",
    Pillar: "pillar",
    Woven: "build",
    Slide: "slide",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Records of a whole show, from its first. `name`: for files, unlike those of others; `day`: when they were
    recorded; `left_out`: what of it could not be used, and why."""

    name: str
    title: str
    day: str
    records: tuple[StageRecord, ...]
    left_out: tuple[str, ...] = ()


def find(lab: Lab, what: str | None) -> Recording:
    """The recording that is meant: a file, a show with takes (its name or its file, or SHOW/BEAT), else a run.

    Raises UsageError when there is none, Unreadable when it is damaged, ConfigError for a show file with mistakes.
    """
    if what is not None and what.endswith((".yaml", ".yml")):
        return _of_show_file(lab, Path(what))
    if what is not None and (what.endswith((".json", ".jsonl")) or Path(what).is_file()):
        return _of_file(Path(what))
    show, _, beat = (what or "").partition("/")
    if (folder := takes_of.folder(lab, show)) is not None:
        return _of_folder(folder, show, beat)
    if show in show_file.names() and not any(path.name.startswith(show) for path in report.complete(lab.paths)):
        raise UsageError(f"the show {show} has no takes yet", fix=f"lab rehearse {show}")
    run = report.find(lab.paths, what)
    summary = report.summary(run)
    day = summary.provenance.created[:10]
    title = summary.scenario_title or run.name
    return Recording(name=run.name, title=title, day=day, records=tuple(of_run.records(summary)))


def _of_folder(folder: Path, show: str, beat: str = "") -> Recording:
    used = takes_of.together(_files(folder, show, beat))
    return _of_together(used, f"{show}-{beat}" if beat else show)


def _of_show_file(lab: Lab, path: Path) -> Recording:
    """Of the file as it is now: by the show's name its newest takes are found, whatever they are of."""
    show = show_file.load(path)
    rehearse = advice.rehearse(show, lab.config.machine.name)
    if (folder := takes_of.folder(lab, show.name)) is None:
        raise UsageError(f"the show {show.name} has no takes yet", fix=rehearse)
    used = takes_of.together(_files(folder, show.name), show.digest)
    if not used.takes:
        why = "; ".join(text.removeprefix(takes_of.LEFT_OUT) for text in used.left_out)
        fix = f"{rehearse}, or give its name, {show.name}: the takes as they are"
        raise UsageError(f"no take is of {path} as it is now: {why}", fix=fix)
    return _of_together(used, show.name)


def _files(folder: Path, show: str, beat: str = "") -> list[Path]:
    found = [path for path in sorted(folder.glob("*.json")) if beat in ("", path.stem)]
    if not found and beat:
        raise UsageError(f"show {show} has no take of beat {beat!r}", fix=f"lab replay {show}")
    if not found:
        raise UsageError(f"the show {show} has no takes yet", fix=f"lab rehearse {show}")
    return found


def _of_together(used: takes_of.Together, name: str) -> Recording:
    return replace(_of_takes(used.takes, name), left_out=used.left_out)


def _of_file(path: Path) -> Recording:
    if not os.path.lexists(path):
        raise UsageError(f"there is no file {path}", fix=show_records.FIX)
    if path.suffix == ".json":
        return _of_takes([takes.load(path)], path.stem)
    started, records = show_records.read(path)
    day = started.began[:10] or dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).date().isoformat()
    return Recording(name=path.stem, title=started.title, day=day, records=records)


def _of_takes(some: Sequence[Take], name: str) -> Recording:
    """Takes of one show as a show, in the order of its beats where that is known."""
    cards = {card.id: card for card in _cards(some[0].show)}
    ranked = sorted(some, key=lambda take: _rank(take, list(cards)))
    beats = tuple(take.card or cards.get(take.beat) or _guess(take) for take in ranked)
    newest = max(ranked, key=lambda take: take.recorded)
    seen = dict.fromkeys(form for take in ranked for form in _forms(take))
    forms = tuple(dict.fromkeys((*filter(seen.__contains__, newest.mechanisms), *seen)))
    start = ShowStarted(
        title=newest.title or _title(newest.show), beats=beats, forms=forms,
        slot_s=sum(take.seconds for take in ranked), source="replay", machine=newest.machine, clock=newest.clock,
        mechanisms=newest.mechanisms,
    )  # fmt: skip
    events: list[tuple[float, StageEvent]] = [(0.0, start)]
    now = 0.0
    for index, take in enumerate(ranked):
        begins = BeatStarted(beat=index, recorded=take.day, forms=_forms(take), machine=take.machine, clock=take.clock)
        events.append((now, begins))
        events += [(now + record.at_s, record.event) for record in take.records]
        now += take.seconds
        events.append((now, BeatEnded(beat=index, outcome="recorded", seconds=take.seconds)))
    events.append((now, ShowEnded(seconds=now, outcomes=("recorded",) * len(ranked))))
    records = tuple(StageRecord(seq=seq, at_s=at, event=event) for seq, (at, event) in enumerate(events, start=1))
    return Recording(name=name, title=start.title, day=newest.day, records=records)


def _rank(take: Take, order: Sequence[str]) -> int:
    """Its place in the show that it is of; for a take that does not tell, in the show file as it is now."""
    if take.at >= 0:
        return take.at
    return order.index(take.beat) if take.beat in order else len(order)


def _cards(show: str) -> tuple[BeatCard, ...]:
    try:
        return tuple(beat.card() for beat in show_file.load(show_file.find(show)).beats)
    except LabError:  # a show of another folder, or one that has changed: its takes are whole without it
        return ()


def _title(show: str) -> str:
    try:
        return show_file.load(show_file.find(show)).keys.title
    except LabError:
        return show


def _forms(take: Take) -> tuple[str, ...]:
    forms = (getattr(record.event, "form", "") for record in take.records if not isinstance(record.event, Woven))
    return tuple(dict.fromkeys(form for form in forms if form))


def _guess(take: Take) -> BeatCard:
    """A card for a beat that no show file describes: what it is follows from what it showed."""
    shown = {type(record.event) for record in take.records}
    kind = next((kind for event, kind in TELLING.items() if event in shown), "command")
    return BeatCard(id=take.beat, title=take.beat, kind=kind, budget_s=take.seconds)
