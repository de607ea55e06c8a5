"""A take: what a beat showed once, kept to be played when it cannot be shown live."""

from __future__ import annotations

from dataclasses import dataclass

from lab.stage.record import StageRecord
from lab.stage.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """The records of one attempt of a beat; their `at_s` counts from the beat's start."""

    show: str
    beat: str
    machine: str
    recorded: str  # UTC, as ISO 8601
    inputs: str  # digest of all that the beat's figures depend on
    seconds: float
    records: tuple[StageRecord, ...]

    @property
    def day(self) -> str:
        return self.recorded[:10]

    def play(self, scene: Scene) -> None:
        """Show it again, at its own pace."""
        for record in self.records:
            scene.deadline.sleep(max(0.0, record.at_s - scene.at_ms() / 1000))
            scene.emit(record.event)
