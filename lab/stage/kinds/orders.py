"""Orders to the forms on standby as beats give them: what the machine answers becomes events of the show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.guest.wire import SpanNode
from lab.model.errors import DemoError
from lab.model.form import Form
from lab.model.live import LiveEvent, OrderEnded, PartEnded, Refused
from lab.stage import events
from lab.stage.events import WantedSpan
from lab.stage.scene import Scene


def followed(scene: Scene, order: Iterator[LiveEvent]) -> Iterator[LiveEvent]:
    """Every event of an order, kept for the diagnosis. Raises DemoError where the order was refused or failed."""
    scene.watch()
    for event in order:
        scene.told.append(event)
        if isinstance(event, Refused):
            raise DemoError(f"the machine refused it: {event.reason}", fix="wait until the running order ends")
        if isinstance(event, PartEnded):
            what = f"the {event.role} of {event.form}" if event.form else "the load generator"
            scene.emit(events.Remark(text=f"{what} ended by itself: {event.how}", level="warning"))
        yield event
        if isinstance(event, OrderEnded) and event.outcome != "done":
            raise DemoError(event.reason or f"the order {event.outcome}", fix="press p: restore the machine")


def forms_of(scene: Scene, names: Sequence[str]) -> dict[str, Form]:
    """The forms of these names."""
    known = {form.name: form for form in scene.asked.forms}
    return {name: known[name] for name in names}


def rows(tree: Sequence[SpanNode]) -> tuple[WantedSpan, ...]:
    """The reference's tree from top to bottom, as the rows of a waterfall."""
    depth: dict[str, int] = {}
    for node in tree:
        depth[node.id] = depth[node.parent] + 1 if node.parent in depth else 0
    return tuple(WantedSpan(name=node.match, kind=f"{node.family} {node.kind}", depth=depth[node.id]) for node in tree)


def value(scene: Scene, name: str, title: str, number: float, unit: str, form: str = "") -> None:
    """Show one figure."""
    scene.emit(events.Value(at_ms=scene.at_ms(), name=name, title=title, value=round(number, 4), unit=unit, form=form))
