"""One beat, played without an engine."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

from lab.stage.beat.scene import Scene
from lab.stage.kinds.kind import Kind
from lab.stage.stream.events import StageEvent
from tests.unit.stage.orders_script import Forms
from tests.unit.stage.scripted import Cast, a_lab, a_show


@dataclasses.dataclass
class Played:
    scene: Scene
    events: list[StageEvent]

    def of(self, kind: Any) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def play(
    folder: Path, beat: Kind, forms: Forms | None = None, heard: list[StageEvent] | None = None, **cast: Any
) -> Played:
    heard = [] if heard is None else heard
    lab = dataclasses.replace(a_lab(folder), cancel=threading.Event())
    scene = Scene(
        lab=lab,
        cast=Cast(forms=forms or Forms(), **cast),
        asked=a_show(folder).asked,
        folder=folder,
        budget_s=20.0,
        sink=heard.append,
    )
    played = Played(scene, heard)
    beat.play(scene)
    return played
