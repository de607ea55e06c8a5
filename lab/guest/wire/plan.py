"""The plan, sent by the host: all that the guest half needs; it decides only gates and the one rerun."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from lab.guest.wire.checked import Count
from lab.guest.wire.codec import canonical

SCHEMA = 1
COUNTED = "counted"  # a plan's clock: the machine counts executed instructions
SEQUENTIAL = "sequential"  # arrivals: each request after the answer before it
MOST_NODES = 500  # of one request type
DEEPEST = 32  # nodes from a root down


@dataclass(frozen=True)
class ProcessSpec:
    """One process of the service. `argv` follows the form's binary. Placeholders, everywhere: {port:NAME} {work}."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)  # the service's settings; those of a form take precedence
    files: dict[str, str] = field(default_factory=dict)  # name -> text, written into the work folder before the start


@dataclass(frozen=True)
class ServiceSpec:
    """How to start the service and detect that it is ready."""

    name: str
    topology: str
    processes: tuple[ProcessSpec, ...]  # in start order; the last one listens on `target`
    ports: tuple[str, ...]
    target: str  # name of the port that gets the load
    ready_port: str
    ready_path: str  # "": ready as soon as the port accepts a connection
    ready_status: tuple[int, ...] = ()  # empty: any 2xx
    build_header: str = ""
    form_header: str = ""
    delay_header: str = ""


# --- spans: reference and expectation ------------------------------------------------------------------------------


@dataclass(frozen=True)
class SpanNode:
    """One span of a request type's reference tree, `count_min`..`count_max` times per request."""

    id: str
    kind: str  # server | client | internal
    family: str  # http | grpc | sql
    match: str  # http "METHOD /path/{x}", grpc "pkg.Service/Method", sql "VERB [table]", "*" any
    parent: str = ""  # id; empty for the root
    count_min: Count = 1
    count_max: Count = 1


def reference_faults(name: str, nodes: Sequence[SpanNode]) -> Iterator[tuple[int, str, str]]:
    """The faults of a reference: index of the node, its key, why. Parents come first, which excludes cycles; without
    limits of size and depth, the search for the best node would take hours.
    """
    if len(nodes) > MOST_NODES:
        yield MOST_NODES, "id", "%s has %d spans; at most %d are allowed" % (name, len(nodes), MOST_NODES)
        return
    depth: dict[str, int] = {}
    for index, node in enumerate(nodes):
        if node.parent and node.parent not in depth:
            yield index, "parent", "%r is not the id of an earlier span of %s" % (node.parent, name)
        if node.id in depth:
            yield index, "id", "%r is the id of an earlier span of %s" % (node.id, name)
            continue
        depth[node.id] = depth.get(node.parent, 0) + 1
        if depth[node.id] == DEEPEST + 1:
            yield index, "parent", "the spans of %s are nested more than %d deep" % (name, DEEPEST)


@dataclass(frozen=True)
class Expectation:
    """The spans that a form is expected to have for one reference node under the conditions of this run.

    mode: exact (as the reference) | none | first (`first` calls of a fresh agent) | range (ratio of the reference).
    parent: always | may-be-lost | may-be-wrong (another span of the request) | root | the id of another node.
    """

    node: str
    mode: str = "exact"
    first: Count = 0
    min_ratio: float = 1.0
    max_ratio: float = 1.0
    parent: str = "always"
    cause: str = ""


@dataclass(frozen=True)
class ExtraSpan:
    """Expected spans of a form beyond the reference; `start`: once when the service starts."""

    request: str
    family: str
    kind: str
    match: str
    per_request: float = 1.0
    start: bool = False
    cause: str = ""


@dataclass(frozen=True)
class FormExpectation:
    """All of a form's expectations: request type -> one Expectation per reference node.

    known: whether the service has an expectation for the form. If not, its spans are compared with the reference only,
    and one span is proof that it instruments.
    """

    requests: dict[str, tuple[Expectation, ...]] = field(default_factory=dict)
    extra: tuple[ExtraSpan, ...] = ()
    known: bool = True


# --- forms -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AgentSpec:
    """An agent attached to each process of the service. Placeholders: {pid} {ready} {sink} {service} {off}."""

    binary: str  # relative to the artifacts root
    sha256: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    off: tuple[str, ...] = ()
    ready_timeout_s: float = 120.0


@dataclass(frozen=True)
class FormSpec:
    """One form, ready to run. Placeholders in env and args: {sink} {service} {work} {port:NAME}."""

    name: str
    mechanism: str  # none | compile-time | run-time
    binary: str  # relative to the artifacts root
    sha256: str
    build_id: str
    env: dict[str, str] = field(default_factory=dict)
    args: tuple[str, ...] = ()  # appended to the argv of the process that listens on the target port
    agent: Optional[AgentSpec] = None
    proof: str = "none"  # some: all expected spans of canaries arrived before load; none: zero spans arrived
    expected: FormExpectation = field(default_factory=FormExpectation)
    delay_kind: str = ""  # "cpu" | "wait": a control; the realised delay is read from the response header


# --- load ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RequestSpec:
    """One request type of the mix; handed to lab-load as it is. params: name -> {"int": [a, b]} | {"choice": [...]}."""

    type: str
    weight: float
    method: str
    path: str
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: tuple[int, ...] = (200,)
    timeout_s: Optional[float] = None
    expect_timeout: bool = False


@dataclass(frozen=True)
class Gates:
    """Limits of a cell; lab.guest.scoring.gates has what a missed one voids."""

    completed_min: float = 0.995
    late_shift_max: float = 0.02  # share of the median latency that late sends may add
    late_hard: bool = True  # soft on an emulated CPU, which cannot keep a millisecond
    load_cpu_share_max: float = 0.7
    steal_max: float = 0.05
    unattributed_max: float = 0.05
    clock_step_max_s: float = 0.05


@dataclass(frozen=True)
class CellPlan:
    """One form, one load level, one repetition."""

    id: str  # BLOCK-FORM-LEVEL, also the folder's name
    level: str
    rate_rps: float
    seed: int
    warmup_requests: Count
    requests: Count
    block: Count = 0  # 0: the life's


@dataclass(frozen=True)
class Life:
    """One process life of one form, with its cells in order; a cell without a block is of the life's."""

    block: Count
    form: str
    cells: tuple[CellPlan, ...]


@dataclass(frozen=True)
class Saturation:
    """How much load a form keeps up with, by a search with rising rates.

    kept_rps: the highest rate that was not too much; lost_rps: the next one, at which its queue grew, requests failed
    or a process died; None: there is none in the search.
    """

    kept_rps: float
    lost_rps: Optional[float] = None


@dataclass(frozen=True)
class Tools:
    """The helper binaries, relative to the artifacts root, with their digests."""

    load: str
    load_sha256: str
    sink: str
    sink_sha256: str
    verified: bool = False  # all artifacts are on a read-only disk whose digest the host has just checked


@dataclass(frozen=True)
class Timeouts:
    """Seconds, already scaled by the machine's measured speed."""

    ready_s: float = 60.0
    first_span_s: float = 60.0
    drain_s: float = 45.0
    quiet_s: float = 3.0  # the span count must be stable this long
    stop_s: float = 20.0
    request_s: float = 10.0
    idle_s: float = 2.0  # between cells


@dataclass(frozen=True)
class Layout:
    """CPU lists per role ("0-1"); empty: not pinned. `said` is the sentence the report prints."""

    service: str = ""
    tools: str = ""
    said: str = "all roles share all CPUs"


@dataclass(frozen=True)
class Plan:
    """All that the guest half needs; it decides only steadiness, gates and the one rerun."""

    run_id: str
    scenario: str
    profile: str
    seed: int
    service: ServiceSpec
    forms: dict[str, FormSpec]
    tools: Tools
    reference: dict[str, tuple[SpanNode, ...]]
    requests: tuple[RequestSpec, ...]
    lives: tuple[Life, ...]
    canary: tuple[str, ...]  # request types sent once each, in this order, before any load
    gates: Gates = field(default_factory=Gates)
    timeouts: Timeouts = field(default_factory=Timeouts)
    layout: Layout = field(default_factory=Layout)
    arrivals: str = "poisson"  # or uniform, or SEQUENTIAL
    clock: str = "real"  # or COUNTED
    rerun_invalid: bool = True
    until_saturated: bool = False  # a life ends with the first cell that is too much for its form
    saturation: dict[str, Saturation] = field(default_factory=dict)  # by form, where the levels come from a search
    schema: int = SCHEMA

    def digest(self) -> str:
        """Identity of the plan: a second start of the same plan does nothing."""
        return hashlib.sha256(canonical(self)).hexdigest()
