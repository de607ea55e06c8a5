"""`request`: the same request into every form; its waterfall appears as the spans arrive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.guest.wire.live import Answered, LiveEvent
from lab.model import live
from lab.model.key import key
from lab.stage.beat.readings import readings
from lab.stage.beat.scene import Scene
from lab.stage.kinds.kind import Around, Faults, Kind
from lab.stage.kinds.orders import SPANS_S, followed
from lab.stage.kinds.waterfall import Waterfall


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBeat(Kind):
    """Send one request through every form, one after the other; each waterfall appears as its spans arrive."""

    GIVES = ("spans", "value", "inside")
    VALUES = ("request_spans", "spans_in_place")
    SPANS = ("request_spans", "spans_in_place")

    forms: tuple[str, ...] = key((), "Forms that it goes into; default: all of the show")
    request: str = key("", "Request type of the scenario; default: its first")
    times: int = key(1, "How many such requests, each another one", low=1, high=50)

    @property
    def named_forms(self) -> tuple[str, ...]:
        return self.forms

    def faults(self, around: Around) -> Faults:
        return [("request", around.no_request(self.request))]

    def play(self, scene: Scene) -> None:
        wanted = self.request or scene.cast.live.requests[0]
        for number in range(self.times):
            tree = scene.asked.service.reference[wanted]
            fall = Waterfall(scene=scene, request=wanted, number=number, tree=tree)
            waiting = list(self.forms)
            fall.sent(waiting.pop(0))

            def give(cast: live.Cast, index: int = number) -> Iterator[LiveEvent]:
                return cast.request(wanted, self.forms, index=index, limit_s=SPANS_S)

            for event in followed(scene, give, lenient=True):
                fall.hear(event)
                if isinstance(event, Answered) and waiting:
                    fall.sent(waiting.pop(0))
        for value in readings(scene.told, at_ms=scene.at_ms()):
            scene.emit(value)
