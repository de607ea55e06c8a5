"""Orders to the forms on standby as beats give them: what the machine answers becomes events of the show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from lab.guest.wire import SpanNode
from lab.guest.wire.answer import said
from lab.guest.wire.live import Answered, AttachEnded, LiveEvent, LoadEnded, OrderEnded, PartEnded, RequestEnded
from lab.model import live
from lab.model.errors import Cancelled, DemoError
from lab.stage.beat.scene import Scene
from lab.stage.stream import events
from lab.stage.stream.events import WantedSpan

SPANS_S: Final = 10.0  # of the machine's clock: how long the spans of one request are waited for

Give = Callable[[live.Cast], Iterator[LiveEvent]]  # an order, to the forms as they are then


def followed(scene: Scene, give: Give, *, lenient: bool = False) -> Iterator[LiveEvent]:
    """Give an order; every event of it, kept for the diagnosis. Raises DemoError where it failed.

    Cancelled where the attempt was over before: the machine takes one order at a time, and that is the next attempt's.
    lenient: not where only a form's spans are not as expected: what must be seen of them, the show file says.
    """
    scene.watch()
    wrong: list[str] = []
    end: OrderEnded | None = None
    _ = scene.cast.live  # connects before the line is held: that takes as long as the machine hangs
    with scene.cast.turn():
        given = not scene.over  # asked here: who has waited for the line may be over by now
        for event in give(scene.cast.live) if given else ():
            scene.hear(event)
            if isinstance(event, PartEnded):
                what = f"the {event.role} of {event.form}" if event.form else "the load generator"
                wrong.append(f"{what} ended by itself: {event.how.partition(': ')[0]}")  # not what it wrote before
                scene.emit(events.Remark(text=wrong[-1], level="warning"))
            if isinstance(event, Answered) and not event.ok:
                wrong.append(f"{event.form}: {said(event.request, event.status)}")
            if isinstance(event, RequestEnded | LoadEnded | AttachEnded) and not event.ok and not lenient:
                wrong.append(f"{event.form}: {event.reason}")
            yield event
            end = event if isinstance(event, OrderEnded) else end
    if not given:
        raise Cancelled
    if end is not None and _failed(end, wrong, lenient=lenient):
        raise DemoError("; ".join(wrong) or end.reason, fix="press p: restore the machine")


def _failed(end: OrderEnded, wrong: Sequence[str], *, lenient: bool) -> bool:
    return end.outcome == "stopped" or (end.outcome == "failed" and (bool(wrong) or not lenient))


def rows(tree: Sequence[SpanNode]) -> tuple[WantedSpan, ...]:
    """The reference's tree from top to bottom, as the rows of a waterfall."""
    depth: dict[str, int] = {}
    for node in tree:
        depth[node.id] = depth[node.parent] + 1 if node.parent in depth else 0
    return tuple(WantedSpan(name=node.match, kind=f"{node.family} {node.kind}", depth=depth[node.id]) for node in tree)


def value(scene: Scene, name: str, title: str, number: float, unit: str, form: str = "") -> None:
    """Show one figure."""
    scene.emit(events.Value(at_ms=scene.at_ms(), name=name, title=title, value=round(number, 4), unit=unit, form=form))
