"""The results of the guest half: cells, canaries, spans, events, and the seal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Optional

from lab.guest.wire.checked import Count
from lab.guest.wire.plan import SCHEMA


@dataclass(frozen=True)
class Span:
    """One line of spans.jsonl.gz, as the sink wrote it."""

    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    name: str
    scope: str
    service: str
    start_ns: int
    end_ns: int
    received_ns: int
    status: str = "unset"
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CanaryRequest:
    """One canary: the request, its spans, and how they compare with the expectation (node id -> spans received)."""

    type: str
    request_id: str
    status: int
    start_ns: int
    end_ns: int
    spans: tuple[Span, ...]
    seen: dict[str, int]
    missing: tuple[str, ...]  # node ids: expected (without an expectation: in the reference) but not received
    wrong_parent: tuple[str, ...]
    unexpected: Count  # spans neither expected nor known extra


@dataclass(frozen=True)
class Canary:
    """canary.json: the proof of a form, before any load."""

    form: str
    ok: bool
    reason: str
    requests: tuple[CanaryRequest, ...]
    first_span_s: Optional[float] = None  # first canary request sent -> first span in the sink
    start_spans: Count = 0  # spans made by the service's start alone
    gaps: str = ""  # differences from the reference of a form without expectation; no failure


@dataclass(frozen=True)
class LifeEnd:
    """life.json of one process life; it has further keys for people."""

    form: str
    ok: bool
    reason: str = ""
    gaps: str = ""


@dataclass(frozen=True)
class Usage:
    """Usage of one role in the measured window. CPU seconds; MiB at its end (peak where the kernel has it)."""

    role: str  # service | agent | sink | load | system
    user_s: float
    system_s: float
    rss_mib: float
    rss_peak_mib: float
    source: str  # cgroup2 | cgroup1 | proc
    waits: Optional[float] = None  # context switches of its threads to wait for something; each ends with a wake-up
    preempted: Optional[float] = None  # those for another thread


@dataclass(frozen=True)
class Gate:
    """One validity gate with its value and limit; a missed `hard` one voids the families in `scoring.gates`."""

    name: str
    ok: bool
    value: float
    limit: float
    said: str = ""
    hard: bool = True


@dataclass(frozen=True)
class TypeStats:
    """Latency from the intended send time, milliseconds; p99 only from 1,000 requests of the type."""

    count: Count
    p50_ms: float
    p90_ms: float
    p99_ms: Optional[float] = None


@dataclass(frozen=True)
class Cell:
    """cell.json: one measured cell, complete or absent."""

    id: str
    block: Count
    form: str
    level: str
    attempt: Count
    valid: bool  # no hard gate was missed; else the gates show which figures are still valid
    reasons: tuple[str, ...]
    gates: tuple[Gate, ...]
    rate_rps: float
    achieved_rps: float
    scheduled: Count
    completed: Count
    late: Count
    unexpected: Count
    window_start_ns: int
    window_end_ns: int
    window_s: float  # by the monotonic clock
    usage: tuple[Usage, ...]
    busy_s: float  # whole system, all CPUs, in the window
    steal_s: float
    irq_s: float
    psi: dict[str, float]  # cpu/memory/io "some" seconds in the window, where the kernel has PSI
    bpf_run_s: Optional[float]  # part of the service's CPU; shown, never added
    attach_s: Optional[float]
    first_span_s: Optional[float]
    startup_s: float
    sentinel_s: float  # a fixed CPU loop before the cell
    spans: dict[str, int]  # received in the window's traffic, by "kind family"
    spans_total: Count
    by_type: dict[str, TypeStats]
    delay_ns: Optional[float]  # realised mean of a control
    build_ids: dict[str, int]  # header value -> responses
    boot_id: str
    agent_exit: Optional[int] = None
    bpf_runs: Optional[float] = None  # of the agents' programs in the window: one for each hit of a probe
    collections: dict[str, int] = field(default_factory=dict)  # of garbage, by role; where the clock is counted
    # CPU seconds of these by the runtime's reports; only of a role whose reports are all whole
    collecting_s: dict[str, float] = field(default_factory=dict)
    life: str = ""  # folder below lives/ that holds canary.json, life.json and the logs of its processes


@dataclass(frozen=True)
class GuestRecord:
    """A line of guest/events.jsonl. kind: state | life | proof | cell | span | sample | notice | failed | done."""

    seq: Count
    at_ns: int
    boot_id: str
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True)
class FileEntry:
    """One file of a sealed folder; path is relative with forward slashes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class GuestManifest:
    """guest/manifest.json, written last: the folder is complete when this exists and agrees."""

    run_id: str
    plan_digest: str
    boot_id: str
    cells: tuple[str, ...]
    files: tuple[FileEntry, ...]
    outcome: Literal["complete", "failed"]
    reason: str = ""
    schema: int = SCHEMA


@dataclass(frozen=True)
class GuestState:
    """state.json: the state of the guest half, for `status` and for a host that reconnects."""

    plan_digest: str
    pid: int
    start_ticks: int
    boot_id: str
    phase: str  # starting | running | sealing | complete | failed
    cells_done: Count
    cells_total: Count
    reason: str = ""
