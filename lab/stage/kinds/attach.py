"""`attach`: an agent attached to a service that runs; the time to its first span."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from lab.guest.wire.live import Answered, Attached, AttachEnded, LiveEvent, OrderEnded, SpanSeen
from lab.model import live
from lab.model.errors import DemoError, LabError
from lab.model.key import key
from lab.model.loading.yamlspec import nearest
from lab.stage.beat.scene import Scene
from lab.stage.kinds.kind import Around, Faults, Kind, of_show
from lab.stage.kinds.orders import SPANS_S, followed, value
from lab.stage.kinds.waterfall import Waterfall
from lab.stage.stream import events


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachBeat(Kind):
    """Attach an agent to a form that runs without one, send one request, and wait for its first span."""

    NEEDED = ("form", "agent_of")
    GIVES = ("value", "inside")
    VALUES = ("attach_s", "first_span_s")

    form: str = key("", "Form whose running service it is attached to: one without instrumentation")
    agent_of: str = key("", "Form whose agent it is")
    request: str = key("", "Request type that is sent then; default: the first of the scenario")
    keep: bool = key(default=False, text="Whether the agent stays attached after the beat")

    @property
    def named_forms(self) -> tuple[str, ...]:
        return (self.form,) if self.form else ()

    def faults(self, around: Around) -> Faults:
        return [
            ("form", self._instrumented(around)),
            ("agent_of", self._without_agent(around)),
            ("request", around.no_request(self.request)),
        ]

    def _instrumented(self, around: Around) -> str:
        form = around.forms.get(self.form)
        if form is None or form.mechanism == "none":
            return ""
        plain = [name for name, one in around.forms.items() if one.mechanism == "none"]
        return f"{self.form!r} is instrumented already: name a form without instrumentation{of_show(plain)}"

    def _without_agent(self, around: Around) -> str:
        if not self.agent_of or not around.forms:
            return ""
        form = around.forms.get(self.agent_of)
        if form is not None and form.agent is not None:
            return ""
        having = [name for name, one in around.forms.items() if one.agent is not None]
        why = (
            f"no form of this show{nearest(self.agent_of, around.forms)}" if form is None else "a form without an agent"
        )
        return f"{self.agent_of!r} is {why}: name one with an agent{of_show(having)}"

    def play(self, scene: Scene) -> None:
        try:
            self._attach(scene)
        except BaseException:
            if scene.told and isinstance(scene.told[-1], OrderEnded):
                with contextlib.suppress(LabError):  # the next order is told: it does this first
                    self._detach(scene)
            raise
        self._detach(scene)

    def _detach(self, scene: Scene) -> None:
        """Unless the attempt is over: then the machine is settled before its next order."""
        if not self.keep and not scene.over:
            for _ in followed(scene, lambda cast: cast.detach(self.form)):
                pass
            scene.cast.attached.discard(self.form)

    def _attach(self, scene: Scene) -> None:
        wanted = self.request or scene.cast.live.requests[0]
        fall = Waterfall(scene=scene, request=wanted, number=0, tree=scene.asked.service.reference[wanted])
        end: AttachEnded | None = None
        sent = False

        def give(cast: live.Cast) -> Iterator[LiveEvent]:
            if not self.keep:
                scene.cast.attached.add(self.form)
            return cast.attach(self.form, agent_of=self.agent_of, request=wanted, limit_s=SPANS_S)

        for event in followed(scene, give):
            if isinstance(event, Attached):
                scene.emit(events.AgentAttached(at_ms=scene.at_ms(), form=self.form, attach_s=round(event.attach_s, 2)))
            if isinstance(event, Attached | Answered) and not sent:
                fall.sent(self.form)
                sent = True
            if isinstance(event, Answered | SpanSeen):
                fall.hear(event)
            if isinstance(event, AttachEnded):
                end = event
        if end is None or not end.ok or end.attach_s is None:
            raise DemoError(end.reason if end else "the agent did not attach", fix="press p: restore the machine")
        scene.emit(
            events.AgentAttached(
                at_ms=scene.at_ms(), form=self.form, attach_s=round(end.attach_s, 2), first_span_s=end.first_span_s
            )
        )
        unit = events.SIMULATED["s"] if scene.cast.clock == "counted" else "s"
        value(scene, "attach_s", "time to attach", end.attach_s, unit, form=self.form)
        if end.first_span_s is not None:
            value(scene, "first_span_s", "time to the first span", end.first_span_s, unit, form=self.form)
