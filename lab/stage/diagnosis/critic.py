"""What the rehearsals say of the values of today: each judged as it comes, and the cause when one is off."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from lab.stage.beat.scene import Scene
from lab.stage.beat.signals import Signals
from lab.stage.diagnosis import causes
from lab.stage.diagnosis.judge import Usual, usual
from lab.stage.diagnosis.observed import Observations
from lab.stage.history.inputs import Inputs, differences
from lab.stage.history.ledger import Rehearsal, clean_ones
from lab.stage.show.show import Beat
from lab.stage.stream.events import Cause, StageEvent, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Critic:
    """Judges by the clean rehearsals on these inputs; without any, no value has a baseline."""

    counted: Sequence[Rehearsal] = ()
    usual: Usual = field(default_factory=Usual)
    changed: tuple[str, ...] = ()

    @staticmethod
    def of(rehearsals: Sequence[Rehearsal], inputs: Inputs, beats: Collection[str] = ()) -> Critic:
        """beats: of the slot that is played; a rehearsal of a shorter slot tells of those that it has. changed: the
        inputs that are not those of the newest rehearsal, where none on today's is left to judge by."""
        counted = clean_ones(rehearsals, inputs, beats)
        changed = differences(rehearsals[-1].inputs, inputs) if rehearsals and not counted else ()
        return Critic(counted=counted, usual=usual(counted), changed=changed)

    def seconds(self, beat: Beat) -> float | None:
        """Usual length of that beat: the time to speak counts also where the rehearsals were unattended."""
        found = [one.seconds for rehearsal in self.counted for one in rehearsal.beats if one.beat == beat.id]
        return max(median(found), beat.keys.say_s) if found else None

    def judged(self, beat: str, event: StageEvent, first: Mapping[tuple[str, str], Value]) -> StageEvent:
        """A value with its judgement and its interval; any other event as it is. first: values of the window before,
        by name and form."""
        if not isinstance(event, Value) or event.judged:
            return event
        return self.usual.judged(beat, event, first.get((event.name, event.form)))

    def causes(self, beat: Beat, scene: Scene) -> tuple[Cause, ...]:
        """Why values of this beat are off, the likeliest first; nothing when none is."""
        last = {(one.name, one.form): one for one in scene.seen.values}
        found = causes.explain(
            Observations(
                beat=beat.id,
                values=tuple(last.values()),
                now=scene.signals(),
                rehearsed=self.rehearsed(beat.id),
                usual=self.usual,
                changed=self.changed if any(one.judged not in ("", "on") for one in last.values()) else (),
                again=beat.again,
            )
        )
        return tuple(replace(one, at_ms=scene.at_ms()) for one in found)

    def rehearsed(self, beat: str) -> tuple[Signals, ...]:
        """The signals of that beat in the rehearsals that count."""
        return tuple(one.signals for rehearsal in self.counted for one in rehearsal.signals if one.beat == beat)
