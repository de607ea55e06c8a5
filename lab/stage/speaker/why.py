"""Why a value was off, as the views tell it: by the last live attempt of a beat that found a cause.

The same beat begins again within milliseconds, or its take is played: what was found is shown until an attempt passes
or another beat begins. `state.js` of the page does the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.stage.stream.events import BeatEnded, BeatStarted, Cause, StageEvent, Value


@dataclass(slots=True)
class Why:
    """causes: the likeliest first. value: the worst one that it explains. before: found in an earlier attempt."""

    causes: list[Cause] = field(default_factory=list)
    value: Value | None = None
    before: bool = True
    _beat: int = -1
    _passed: bool = False
    _values: dict[tuple[str, str], Value] = field(default_factory=dict)

    def note(self, event: StageEvent) -> None:
        match event:
            case BeatStarted(beat=beat):
                if beat != self._beat or self._passed:
                    self._forget()
                self._beat, self._passed, self.before = beat, False, True
                self._values = {}
            case Value():
                self._values[event.name, event.form] = event
            case Cause():
                if self.before:
                    self._forget()
                    self.before = False
                    self.value = self._worst(event)
                self.causes.append(event)
            case BeatEnded(outcome="passed"):
                self._passed = True
                if self.before:
                    self._forget()

    def _forget(self) -> None:
        self.causes, self.value = [], None

    def _worst(self, cause: Cause) -> Value | None:
        """A take of an earlier time does not name the form."""
        named = [one for one in self._values.values() if one.name == cause.value and cause.form in ("", one.form)]
        return next((one for word in ("off", "a bit off") for one in named if one.judged == word), None)
