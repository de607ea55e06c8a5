"""One form of a run in summary.json: its proof, spans, figures and waterfalls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from lab.guest.wire import Count, Range, Saturation
from lab.model.metrics import ALL_LEVELS
from lab.model.own import Change

Mark = Literal["ok", "root", "orphan", "moved", "extra"]
Role = Literal["baseline", "twin", "control", "instrumented"]
Share = Annotated[float, Range(0, 1)]
Texts = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """valid: in all families; usable: family of figures -> planned cells with a valid attempt for it.

    saturated: planned cells that are not valid since the load was too much for their form, which is a finding.
    """

    planned: Count
    valid: Count
    usable: dict[str, Count]
    attempts: Count | None = None
    invalid: Count  # attempts that missed a hard gate, other than by too much load
    invalid_share: Share | None = None
    saturated: Count = 0

    @property
    def settled(self) -> int:
        """Planned cells without a fault: what they tell is known."""
        return self.valid + self.saturated


@dataclass(frozen=True, slots=True, kw_only=True)
class FormProof:
    """ok: None while there is no proof. gaps: differences from the reference of a form without expectation."""

    ok: bool | None
    reason: str
    gaps: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Reference spans and how many were received; parents_ok: the share under the right parent."""

    reference: Count | None
    received: Count | None
    ratio: Share | None
    parents_ok: Share | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Spans of one kind and cause, by request type and node; of: how many there should be."""

    kind: str
    count: Count
    of: Count
    cause: str
    nodes: Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingSpans(Gap):
    """Spans that were not received; known: the form's expectation has them missing."""

    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Misplaced(Gap):
    """Spans that were received under another parent; roots: as roots of their own traces."""

    roots: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage(Cover):
    """Coverage of the hand-written reference. not_counted: why there is no figure; "" where there is one."""

    by_type: dict[str, Cover]
    misplaced: tuple[Misplaced, ...]
    not_counted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanCount:
    """Spans beyond the reference."""

    span: str
    count: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformance:
    """Conformance with the form's expectation. not_counted: why there is no figure; "" where there is one."""

    expected: Count | None
    received: Count | None
    ratio: Share | None
    parents_ok: Share | None
    missing: tuple[MissingSpans, ...]
    surplus: Count
    extra: tuple[SpanCount, ...]
    unexpected: tuple[SpanCount, ...]
    orphans: Count | None
    not_counted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One reference node of one request type, summed over a form's valid cells. Counts are spans."""

    request: str
    node: str
    kind: str  # "grpc server"
    match: str
    reference: Count
    received: Count
    expected: Count
    conforming: Count = 0  # received, up to the form's expectation
    parents_right: Count
    parents_conforming: Count = 0
    roots: Count
    mode: str
    cause: str
    calls_to_first_loss: Count | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockShift:
    """How much too early span timestamps were (corrected before counting), over the counted cells."""

    cells: Count
    max_ms: float
    evidence: Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildCost:
    """The costs of building the form, and its changes."""

    cold_s: float | None
    warm_s: float | None
    size_bytes: Count | None
    files_changed: Count | None
    modules_added: Count | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The median over blocks at one load level, or over all of them; latency by request type.

    plus_minus: metric of `others` -> how far it may be off by one collection of garbage more or less in a cell.
    """

    cpu_s_per_1k_requests: float | None
    latency_p50_ms: dict[str, float]
    latency_p90_ms: dict[str, float]
    latency_p99_ms: dict[str, float]
    rss_mib: float | None
    cpu_ms_per_span: float | None
    achieved_rps: float | None
    others: dict[str, float] = field(default_factory=dict)  # further metrics of lab/model/metrics.py
    plus_minus: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Percentiles over all valid cells together, for display; verdicts use per-cell percentiles instead."""

    count: Count
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collections:
    """Garbage collections of one role in the cells whose CPU is valid, and the instructions that one takes; None: no
    two cells tell."""

    count: Count
    instructions: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cold:
    """How much longer requests take in the first third of a cell than in the last, and in how many of its cells."""

    slower_pct: float
    cells: Count
    of: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class FormSummary:
    """One form of the run. absent: family of figures -> why there are none."""

    title: str
    role: Role
    mechanism: str  # none | compile-time | run-time
    of: str
    build_id: str
    sha256: str
    proof: FormProof
    absent: dict[str, str]
    coverage: Coverage
    conformance: Conformance
    nodes: tuple[Node, ...]
    clock_shift: ClockShift
    attach_s: float | None
    time_to_first_span_s: float | None
    startup_s: float | None
    build: BuildCost
    changes: tuple[Change, ...]
    cells: Cells
    requests: dict[str, Count]  # whose spans were counted, by type
    metrics: dict[str, Level]
    # at the level of the primary comparisons
    cpu: dict[str, float]  # seconds per 1,000 requests by part; bpf_run lies inside service_system
    memory: dict[str, float]
    latency: dict[str, Latency]
    probe_hits: float | None = None  # runs of the agent's BPF programs per request
    collections: dict[str, Collections] = field(default_factory=dict)  # by role, on a counted clock
    waits: float | None = None  # context switches of service and agent per request: to wait for something
    preempted: float | None = None  # … and for another thread
    cold: Cold | None = None  # None: it was warm when it was measured, or the cells do not tell
    agent_sha256: str = ""
    saturation: Saturation | None = None  # by the search that the load levels come from

    def at(self, level: str) -> Level | None:
        """The medians at this load level; "" (no verdict names one): at the first one that was measured."""
        measured = [name for name in self.metrics if name != ALL_LEVELS]
        return self.metrics.get(level or next(iter(measured), ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A span in a waterfall; mark: whether its parent is right. Times: ms from the request's start."""

    name: str
    service: str
    start_ms: float
    duration_ms: float
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSpan(Bar):
    """A span of the reference; as_expected: its parent is as the form's expectation."""

    as_expected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraBar(Bar):
    """A span beyond the reference."""

    kind: str
    operation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRow:
    """One reference span and the received ones; known: the form's expectation has it missing."""

    node: str
    kind: str
    match: str
    depth: Count
    missing: Count
    known: bool
    cause: str
    spans: tuple[TraceSpan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One canary request of one form; expected: whether the form has an expectation."""

    form: str
    type: str
    status: int
    request_ms: float
    traces: Count
    received: Count
    reference: Count
    expected: bool
    rows: tuple[TraceRow, ...]
    extra: tuple[ExtraBar, ...]
    evidence: str
