"""One request in each form as its spans arrive: shared by the kinds that send single requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.guest.wire import SpanNode
from lab.guest.wire.live import Answered, LiveEvent, RequestEnded, SpanSeen
from lab.stage.beat.scene import Scene
from lab.stage.kinds.orders import rows
from lab.stage.stream import events


@dataclass(slots=True, kw_only=True)
class Waterfall:
    """One request of one type. `latency_ms` and `done` by form, as they came."""

    scene: Scene
    request: str
    number: int
    tree: Sequence[SpanNode]
    latency_ms: dict[str, float] = field(default_factory=dict)
    done: dict[str, RequestEnded] = field(default_factory=dict)
    _start_ns: dict[str, int] = field(default_factory=dict)

    def sent(self, form: str) -> None:
        """It goes into this form now."""
        self.scene.emit(
            events.RequestSent(
                at_ms=self.scene.at_ms(), form=form, number=self.number, type=self.request, wanted=rows(self.tree)
            )
        )

    def hear(self, event: LiveEvent) -> None:
        """Show what the machine reported about it."""
        match event:
            case Answered():
                self._answered(event)
            case SpanSeen():
                self._span(event)
            case RequestEnded():
                self._ended(event)

    def _answered(self, event: Answered) -> None:
        self._start_ns[event.form] = event.start_ns
        self.latency_ms[event.form] = latency_ms = round(event.latency_ns / 1e6, 3)
        self.scene.emit(
            events.RequestAnswered(
                at_ms=self.scene.at_ms(),
                form=event.form,
                number=self.number,
                status=event.status,
                latency_ms=latency_ms,
            )
        )

    def _span(self, event: SpanSeen) -> None:
        span = event.span
        self.scene.emit(
            events.SpanArrived(
                at_ms=self.scene.at_ms(),
                form=event.form,
                number=self.number,
                span=span.span_id,
                parent=span.parent_id,
                name=span.name,
                kind=span.kind,
                service=span.service,
                start_ms=round((span.start_ns - self._start_ns.get(event.form, span.start_ns)) / 1e6, 3),
                duration_ms=round((span.end_ns - span.start_ns) / 1e6, 3),
                error=span.status == "error",
                row=self._row(span.kind, span.name),
            )
        )

    def _row(self, kind: str, name: str) -> int:
        """Its row, where kind and name leave no doubt; else the end of the request tells."""
        fitting = [at for at, node in enumerate(self.tree) if node.kind == kind and node.match == name.lstrip("/")]
        return fitting[0] if len(fitting) == 1 else -1

    def _ended(self, event: RequestEnded) -> None:
        self.done[event.form] = event
        at = {node.id: index for index, node in enumerate(self.tree)}
        named = {node.id: node.match for node in self.tree}
        self.scene.emit(
            events.RequestDone(
                at_ms=self.scene.at_ms(),
                form=event.form,
                number=self.number,
                wanted=event.wanted,
                seen=event.seen,
                missing=tuple(named.get(node, node) for node in event.missing),
                parents_missing=len(event.parent_missing),
                ok=event.ok,
                reason=event.reason,
                rows={span: at[node] for span, node in event.node_of.items() if node in at},
            )
        )
