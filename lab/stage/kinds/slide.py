"""`slide`: Markdown for the audience."""

from __future__ import annotations

from dataclasses import dataclass

from lab.model.key import key
from lab.stage.beat.scene import Scene
from lab.stage.kinds.kind import Kind
from lab.stage.stream import events


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideBeat(Kind):
    """Markdown for the audience."""

    NEEDED = ("markdown",)
    GIVES = ("text",)

    markdown: str = key("", "Text for the audience: Markdown with headings, lists, emphasis and code")

    def play(self, scene: Scene) -> None:
        scene.emit(events.Slide(at_ms=scene.at_ms(), markdown=self.markdown))
