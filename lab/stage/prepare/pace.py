"""How long each beat lasts at the speaker's own pace: what is said after it is over is a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.stage.stream.events import BeatStarted, ShowEnded
from lab.stage.stream.records import StageRecord


@dataclass(slots=True, kw_only=True)
class OwnPace:
    """Hears a show that waits for keys. beats: their ids; `seconds`: from the start of each to that of the next, or to
    the end of the show; of one that was played again all of them."""

    beats: Sequence[str]
    seconds: dict[str, float] = field(default_factory=dict)
    _now: str = ""  # the beat that is on
    _since_s: float = 0.0

    def hear(self, record: StageRecord) -> None:
        """One record of the show."""
        match record.event:
            case BeatStarted(beat=at):
                self._until(record.at_s, self.beats[at])
            case ShowEnded():
                self._until(record.at_s, "")

    def leave_out(self, beat: str, seconds: float) -> None:
        """What a rehearsal played of this beat that no show plays."""
        self.seconds[beat] = self.seconds.get(beat, 0.0) - seconds

    def _until(self, at_s: float, then: str) -> None:
        if self._now:
            self.seconds[self._now] = self.seconds.get(self._now, 0.0) + at_s - self._since_s
        self._now, self._since_s = then, at_s
