"""One run of a show as on stage: what it leaves in the ledger and as takes."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from lab.model.errors import Unreadable
from lab.stage.history import ledger, takes
from lab.stage.history.inputs import Inputs
from lab.stage.history.ledger import BeatResult, BeatSignals, Figure, Rehearsal
from lab.stage.history.takes import Take
from lab.stage.play.attempt import Attempt, Played
from lab.stage.play.engine import Engine
from lab.stage.play.moves import kept
from lab.stage.prepare.pace import OwnPace
from lab.stage.show.show import Beat, Show
from lab.stage.stream.events import Remark, StageEvent, Value
from lab.stage.stream.records import StageRecord

FALLBACK: Final = ("retry", "take")  # what `else` says where the take is the fallback


@dataclass(slots=True, kw_only=True)
class Recorder:
    """Hears how each attempt of a rehearsal ended; keeps the take of each beat that passed.

    pace: the speaker's, where the rehearsal waits for keys.
    """

    show: Show
    place: Path
    machine: str
    inputs: Inputs
    emit: Callable[[StageEvent], None] = lambda _: None
    network_cut: bool = False
    slept_s: float = 0.0
    results: dict[str, BeatResult] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    signals: list[BeatSignals] = field(default_factory=list)
    began: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    pace: OwnPace | None = None

    def watch(self, engine: Engine) -> None:
        """Record what this engine plays; before it runs."""
        self.emit = engine.emit
        engine.stand.on_ended = self.ended
        if engine.pace == "keys":
            self.pace = OwnPace(beats=tuple(beat.id for beat in engine.beats))
            engine.subscribe(self.pace.hear)

    def ended(self, attempt: Attempt, beat: Beat, played: Played) -> None:
        """One attempt of a beat, or its take, is over."""
        before = self.results.get(beat.id)
        outcomes = (before.outcome if before else None, played.outcome)
        on_purpose = attempt.good == "recorded" and outcomes[0] == "passed"  # a take that nothing made necessary
        seconds = (before.seconds if before else 0.0) + (0.0 if on_purpose else played.seconds)
        if on_purpose and self.pace is not None:
            self.pace.leave_out(beat.id, played.seconds)
        self.results[beat.id] = BeatResult(
            beat=beat.id,
            outcome=kept(*outcomes),
            seconds=round(seconds, 2),
            drilled=(before is not None and before.drilled) or {*outcomes} == {"passed", "recorded"},
        )
        if played.outcome == "passed":
            self._keep(attempt, beat, played)

    def _keep(self, attempt: Attempt, beat: Beat, played: Played) -> None:
        scene = attempt.scene
        # played again on purpose: one rehearsal has each figure once
        self.figures = [one for one in self.figures if one.beat != beat.id]
        self.signals = [one for one in self.signals if one.beat != beat.id]
        last = {(one.name, one.form): one for one in scene.seen.values}
        self.figures += [_figure(beat.id, one) for one in last.values()]
        if scene.told or scene.host is not None:
            self.signals.append(BeatSignals(beat=beat.id, signals=scene.signals()))
        records = tuple(
            StageRecord(seq=at, at_s=at_s, event=event) for at, (at_s, event) in enumerate(scene.log, start=1)
        )
        take = Take(
            show=self.show.name,
            beat=beat.id,
            machine=self.machine,
            recorded=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            inputs=self.inputs,
            seconds=played.seconds,
            title=self.show.keys.title,
            at=next((at for at, one in enumerate(self.show.beats) if one.id == beat.id), -1),
            card=beat.card(),
            mechanisms={form.name: form.mechanism for form in self.show.asked.forms},
            records=records,
        )
        try:
            takes.save(self.place, take)
        except (OSError, Unreadable) as error:
            why = error.why if isinstance(error, Unreadable) else error.strerror or str(error)
            self.emit(Remark(text=f"the take of {beat.keys.title!r} is not saved: {why}", level="warning"))

    def finish(self, beats: tuple[Beat, ...]) -> Rehearsal:
        """Write it into the ledger. Raises OSError on a full disk."""
        results = {name: self._lasted(one) for name, one in self.results.items()}
        took = {beat.id: results[beat.id].seconds if beat.id in results else 0.0 for beat in beats}
        if self.pace is None:  # at the speaker's pace what is said is a part of it
            took = {beat.id: max(took[beat.id], beat.keys.say_s) for beat in beats}
        rehearsal = Rehearsal(
            id=f"{self.began:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
            date=self.began.isoformat(timespec="seconds"),
            inputs=self.inputs,
            beats=tuple(results.values()),
            seconds=round(sum(took.values()), 1),
            figures=tuple(self.figures),
            signals=tuple(self.signals),
            network_cut=self.network_cut,
            whole=all(beat.id in self.results for beat in beats),
            slept_s=round(self.slept_s, 1),
        )
        ledger.add(self.place, rehearsal)
        return rehearsal

    def _lasted(self, result: BeatResult) -> BeatResult:
        if self.pace is None:
            return result
        return replace(result, seconds=round(self.pace.seconds.get(result.beat, result.seconds), 2))


def _figure(beat: str, value: Value) -> Figure:
    return Figure(
        beat=beat, name=value.name, unit=value.unit, value=value.value, form=value.form, ratio=value.ratio
    )  # fmt: skip


def has_fallback(beat: Beat) -> bool:
    """Whether a beat's take is played when it does not show what it must. One that does nothing cannot fail."""
    return beat.keys.else_ in FALLBACK and beat.keys.kind not in ("slide", "shell")


def needs(beats: tuple[Beat, ...], slot_s: float, runs: int) -> ledger.Needs:
    """What these beats require of their rehearsals."""
    fallbacks = {beat.id: beat.keys.title for beat in beats if has_fallback(beat)}
    says = {beat.id: beat.keys.say_s for beat in beats}
    return ledger.Needs(slot_s=slot_s, says=says, fallbacks=fallbacks, runs=runs)
