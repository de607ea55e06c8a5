"""Orders to the forms on standby, and the events that answer them: one closed union, `LiveEvent`.

An order's events are Accepted (or Refused, and nothing else), then what its kind gives, then OrderEnded. Each form that
takes part gets exactly one end of its own (RequestEnded, LoadEnded, AttachEnded, Proof), also when it failed: one
form's failure does not end the others. `at_ns` is the guest's wall clock at the moment of telling; under the counted
clock all times are guest time like every other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Optional, Union

from lab.guest.wire.checked import Count, WireError, shown
from lab.guest.wire.codec import decode, encode
from lab.guest.wire.result import Span

OrderKind = Literal["request", "load", "attach", "detach", "reprove"]
WINDOW_S = 0.5


@dataclass(frozen=True)
class Order:
    """What the standby process is to do now. `id` is chosen by who asks; no two orders have the same."""

    id: str
    kind: OrderKind
    forms: tuple[str, ...] = ()  # empty: all that are up
    request: str = ""  # request, attach: the request type to send; attach: "" is the plan's first canary
    index: Count = 0  # request, attach: which request of that type; the same index is the same request in every form
    at_once: bool = False  # request: into all forms at one moment, else one after the other's answer
    rate_rps: float = 0.0  # load: requests per second into each form
    requests: Count = 0  # load: into each form
    seed: Count = 0  # load: of the stream; the same seed is the same requests at the same times
    agent_of: str = ""  # attach: the form whose agent it is; "": the form's own
    reattach: bool = False  # reprove: by agents that are attached now
    limit_s: float = 0.0  # request, attach: how long spans are awaited at most; 0: as long as the plan says


@dataclass(frozen=True)
class _Live:
    order: str  # the order's id
    at_ns: int  # wall clock of the guest


@dataclass(frozen=True)
class Accepted(_Live):
    """The order began. limit_s: seconds after which it has ended in any case."""

    kind: OrderKind
    forms: tuple[str, ...]
    clock: str  # real | counted
    limit_s: float


@dataclass(frozen=True)
class Refused(_Live):
    """The order was not begun. running: the id of the order that runs instead, "" when that is not the reason."""

    reason: str
    running: str = ""


@dataclass(frozen=True)
class OrderEnded(_Live):
    """The last event of an order. done: every form ended well; failed: not every one; stopped: by request."""

    outcome: Literal["done", "failed", "stopped"]
    reason: str
    seconds: float


@dataclass(frozen=True)
class PartEnded(_Live):
    """A process of a form, or the load generator (form "", role "load"), ended on its own. how: for people."""

    form: str
    role: Literal["service", "agent", "sink", "load"]
    how: str


@dataclass(frozen=True)
class Answered(_Live):
    """One request was answered. status: of HTTP; 0 no answer, -1 timeout. trace_id: "" until a span tells it."""

    form: str
    request: str
    index: Count
    request_id: str
    trace_id: str
    status: int
    ok: bool  # the status is one that the scenario expects
    build_id: str  # as the answer's header tells; "" where the service has none
    start_ns: int  # wall clock
    latency_ns: int


@dataclass(frozen=True)
class SpanSeen(_Live):
    """A span of the request arrived in the form's sink (span.received_ns); always after its form's Answered."""

    form: str
    span: Span


@dataclass(frozen=True)
class RequestEnded(_Live):
    """All spans of one form's request are there, or no more came. ok: all that this form is expected to give came.

    wanted: spans of the reference tree; expected: those of them that this form should give; seen: spans that came.
    """

    form: str
    ok: bool
    reason: str
    wanted: Count
    expected: Count
    seen: Count
    missing: tuple[str, ...] = ()  # nodes of the reference tree without (enough) spans
    unexpected_missing: tuple[str, ...] = ()  # those of them that this form is known to give
    wrong_parent: tuple[str, ...] = ()  # nodes whose span is below another than in the reference tree
    parent_missing: tuple[str, ...] = ()  # ids of spans whose parent never came
    misplaced: Optional[Count] = None  # spans that either is true of; null: an older guest does not tell
    instrumented: bool = False  # the form is to give spans, whether or not it is known which
    node_of: dict[str, str] = field(default_factory=dict)  # span id -> node of the reference tree
    first_span_s: Optional[float] = None  # request sent -> first span in the sink
    last_span_s: Optional[float] = None


@dataclass(frozen=True)
class FormWindow(_Live):
    """One form in one window of a load, WINDOW_S long. Latencies count from the intended time of sending."""

    form: str
    window: Count  # 0, 1, 2, …; the same for all forms and for the machine
    seconds: float
    draining: bool  # the last request was sent; spans are still awaited
    sent: Count
    done: Count  # answered
    errors: Count  # of those done: not with an expected status
    late: Count  # of those sent: later than max(1 ms, 1 % of the median)
    in_flight: Count  # at the window's end
    p50_ns: Optional[int]  # null: nothing was answered
    p99_ns: Optional[int]
    cpu_s: dict[str, float]  # service, agent, sink: used in the window; empty: not read in this window
    rss_mib: dict[str, float]  # service, agent, sink: now
    total_done: Count  # since the order began
    spans_wanted: Count  # by the reference tree, for total_done
    spans_expected: Count  # that this form is known to give for total_done
    spans_seen: Count  # since the order began


@dataclass(frozen=True)
class MachineWindow(_Live):
    """The machine in the same window. Seconds are CPU seconds of all CPUs together."""

    window: Count
    seconds: float  # of the monotonic clock
    mono_ns: int  # the guest's clocks at the window's end
    wall_ns: int
    cpus: Count
    busy_s: float
    steal_s: float
    psi_cpu_s: Optional[float]  # in which some task waited for a CPU; null: the kernel does not tell
    load_cpu_s: float  # of the load generator, which serves all forms
    lab_cpu_s: float  # of the standby process itself
    other_cpu_s: float  # of whatever is not ours
    sentinel_s: float  # a fixed piece of work, measured at the window's end
    throttled_s: Optional[float] = None  # in which a CPU quota held our control group back; null: nothing tells it


@dataclass(frozen=True)
class LoadEnded(_Live):
    """One form's totals. ok: nothing of the form ended, and the load was not cut short."""

    form: str
    ok: bool
    reason: str
    seconds: float  # first request due -> last answer
    sent: Count
    done: Count
    errors: Count
    late: Count
    p50_ns: Optional[int]
    p99_ns: Optional[int]
    cpu_s: dict[str, float]  # service, agent, sink: from the first request to the end of the drain
    rss_mib: dict[str, float]
    spans_wanted: Count
    spans_expected: Count
    spans_seen: Count
    build_ids: dict[str, Count]  # header value -> answers
    wait_s: dict[str, float] = field(default_factory=dict)  # service, agent, sink: threads that were ready had no CPU


@dataclass(frozen=True)
class Attached(_Live):
    """The agent says that it is attached; a request follows."""

    form: str
    agent_of: str
    attach_s: float  # agent started -> attached


@dataclass(frozen=True)
class AttachEnded(_Live):
    """An agent was attached (or taken away: `detach`), and its first span came. Its spans came as SpanSeen."""

    form: str
    ok: bool
    reason: str
    attach_s: Optional[float] = None
    first_span_s: Optional[float] = None  # request sent -> first span in the sink


@dataclass(frozen=True)
class Proof(_Live):
    """A form was proven by one request. spans: how many it gave; seconds: since the order began."""

    form: str
    ok: bool
    reason: str
    round: Count = 0
    gaps: str = ""  # what a form of which nothing is known gave otherwise than the reference
    spans: Count = 0
    attach_s: Optional[float] = None  # by an agent that was attached for it
    seconds: Optional[float] = None
    first_span_s: Optional[float] = None


LiveEvent = Union[
    Accepted,
    Refused,
    Answered,
    SpanSeen,
    RequestEnded,
    FormWindow,
    MachineWindow,
    LoadEnded,
    Attached,
    AttachEnded,
    Proof,
    PartEnded,
    OrderEnded,
]
# kind of the guest's record -> event; "proof" is also told where no order was given (order: "")
LIVE_KINDS: dict[str, type[Any]] = {
    "accepted": Accepted,
    "refused": Refused,
    "answered": Answered,
    "span-seen": SpanSeen,
    "request-ended": RequestEnded,
    "form-window": FormWindow,
    "machine-window": MachineWindow,
    "load-ended": LoadEnded,
    "attached": Attached,
    "attach-ended": AttachEnded,
    "proof": Proof,
    "part-ended": PartEnded,
    "order-ended": OrderEnded,
}
_KIND_OF = {cls: kind for kind, cls in LIVE_KINDS.items()}


def live_to_json(event: LiveEvent) -> dict[str, Any]:
    """{"kind": …, "data": {…}}: the inverse of `live_from_json`, for takes and for the page."""
    return {"kind": _KIND_OF[type(event)], "data": encode(event)}


def live_from_json(kind: str, data: Any) -> LiveEvent:
    """Raises WireError for another kind or for data that is not of it."""
    if kind not in LIVE_KINDS:
        raise WireError("one of %s is expected, not %s" % (", ".join(LIVE_KINDS), shown(kind))).inside("kind")
    event: LiveEvent = decode(LIVE_KINDS[kind], data)
    return event
