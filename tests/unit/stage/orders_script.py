"""Forms on standby in memory: each order gives the events that a test wrote down for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lab.guest.wire import Span
from lab.guest.wire.live import (
    Accepted,
    Answered,
    Attached,
    AttachEnded,
    LiveEvent,
    LoadEnded,
    OrderEnded,
    RequestEnded,
    SpanSeen,
)

HEAD: dict[str, Any] = {"order": "1", "at_ns": 0}
SECOND = 10**9


def accepted(kind: Any = "request") -> Accepted:
    return Accepted(**HEAD, kind=kind, forms=(), clock="real", limit_s=10.0)


def ended(outcome: Literal["done", "failed", "stopped"] = "done", reason: str = "") -> OrderEnded:
    return OrderEnded(**HEAD, outcome=outcome, reason=reason, seconds=1.0)


def answered(form: str, status: int = 200) -> Answered:
    return Answered(
        **HEAD, form=form, request="venues", index=0, request_id="r", trace_id="", status=status, ok=status == 200,
        build_id="", start_ns=SECOND, latency_ns=5_000_000,
    )  # fmt: skip


def span(form: str, name: str = "GET /venues", kind: str = "server") -> SpanSeen:
    return SpanSeen(
        **HEAD,
        form=form,
        span=Span(
            trace_id="t", span_id=f"{form}-{name}", parent_id="", kind=kind, name=name, scope="", service="shop",
            start_ns=SECOND + 1_000_000, end_ns=SECOND + 4_000_000, received_ns=SECOND,
        ),
    )  # fmt: skip


def request_ended(form: str, *, ok: bool = True, seen: int = 1, **more: Any) -> RequestEnded:
    return RequestEnded(
        **HEAD, form=form, ok=ok, reason="" if ok else "not every span came", wanted=1, expected=1, seen=seen, **more
    )


def load_ended(form: str, *, ok: bool = True, cpu_s: float = 0.4) -> LoadEnded:
    return LoadEnded(
        **HEAD, form=form, ok=ok, reason="" if ok else "the service ended", seconds=2.0, sent=40, done=40, errors=0,
        late=0, p50_ns=4_000_000, p99_ns=9_000_000, cpu_s={"service": cpu_s}, rss_mib={"service": 20.0},
        spans_wanted=40, spans_expected=40, spans_seen=40, build_ids={},
    )  # fmt: skip


def attached(form: str = "baseline") -> list[LiveEvent]:
    return [
        Attached(**HEAD, form=form, agent_of="ebpf", attach_s=2.5),
        answered(form),
        span(form),
        AttachEnded(**HEAD, form=form, ok=True, reason="", attach_s=2.5, first_span_s=0.75),
        ended(),
    ]


@dataclass
class Forms:
    """`lab.model.live.Cast` with written answers; `asked` is what was ordered."""

    script: dict[str, Sequence[LiveEvent]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    stopped: int = 0
    forms: tuple[str, ...] = ("baseline", "orchestrion-otel", "ebpf")
    requests: tuple[str, ...] = ("venues",)
    clock: Literal["real", "counted"] = "real"

    def _give(self, kind: str, **fields: Any) -> Iterator[LiveEvent]:
        self.asked.append((kind, fields))
        return iter(self.script.get(kind, [ended()]))

    def request(self, request: str, forms: Sequence[str] = (), **more: Any) -> Iterator[LiveEvent]:
        return self._give("request", request=request, forms=tuple(forms), **more)

    def load(self, forms: Sequence[str] = (), **more: Any) -> Iterator[LiveEvent]:
        return self._give("load", forms=tuple(forms), **more)

    def attach(self, form: str, **more: Any) -> Iterator[LiveEvent]:
        return self._give("attach", form=form, **more)

    def detach(self, form: str) -> Iterator[LiveEvent]:
        return self._give("detach", form=form)

    def reprove(self, forms: Sequence[str] = (), **more: Any) -> Iterator[LiveEvent]:
        return self._give("reprove", forms=tuple(forms), **more)

    def stop(self) -> None:
        self.stopped += 1
