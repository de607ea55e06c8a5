"""Count the spans of a cell, per request type and reference node. Pure.

Canary and warm-up have no row in requests.csv.gz and are not counted; a span that begins inside the window and fits no
request is reported as extra or orphan by its signature.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from lab.guest.scoring.matching import TRANSPORT_ERROR, Row, Slot, is_warm_up, lag_ns, match
from lab.guest.scoring.signature import NO, fits, signature
from lab.guest.scoring.trees import EXACT_NODE, Assignment, Fragment, TypeTree, assign, fragments, type_trees
from lab.guest.wire import Expectation, ExtraSpan, FormExpectation, Span, SpanNode

__all__ = ["NO_REQUEST", "Missing", "NodeTally", "Row", "Tally", "tally"]

NO_REQUEST = "*"  # the type of a span that fits no request


@dataclass(frozen=True)
class NodeTally:
    """One reference node over a cell. Bounds are spans; received <= reference_max by construction."""

    type: str
    node: str
    kind: str
    family: str
    match: str
    requests: int
    reference_min: int
    reference_max: int
    expected_min: int
    expected_max: int
    received: int
    parents_ok: int  # as the reference: child of the nearest received ancestor
    parents_as_expected: int
    rootless: int  # unlike the reference, roots of their own traces
    mode: str
    cause: str
    calls_to_first_loss: int | None  # 1-based index of the first call in the window without its span; None: none lost


@dataclass(frozen=True)
class Missing:
    """Reference spans not received; `known` when the form's expectation says so, with its cause."""

    type: str
    node: str
    label: str  # "server grpc"
    count: int
    known: bool
    cause: str


@dataclass(frozen=True)
class Tally:
    """A cell's spans against reference and expectation."""

    nodes: tuple[NodeTally, ...]
    missing: tuple[Missing, ...]
    extra: dict[str, int]  # "client sql BEGIN" -> spans neither in the reference nor known
    known_extra: dict[str, int]
    orphans: dict[str, int]  # label -> spans whose parent was never received
    requests: dict[str, int]  # type -> requests that reached the service
    outside: int  # spans of canary and warm-up
    lag_ns: int = 0  # how much too early the clock of the spans was; corrected before counting
    calls: dict[str, int] = field(default_factory=dict)  # node id -> calls of this life up to the end of this cell
    beyond: dict[str, int] = field(default_factory=dict)  # type -> spans without a reference node; "*": of no request


def tally(
    spans: Iterable[Span],
    rows: Sequence[Row],
    reference: dict[str, tuple[SpanNode, ...]],
    expected: FormExpectation,
    *,
    window_start_ns: int,
    prior: dict[str, int] | None = None,
) -> Tally:
    """Count a cell. prior: node id -> earlier calls of this life (canary, cells), for `first` modes."""
    trees = type_trees(reference, expected)
    parts = fragments(spans)
    lag = lag_ns(parts, rows, trees)
    if lag:
        parts = fragments(_later(span, lag) for part in parts for span in part.spans)
    slots, loose = match(parts, rows, trees)
    read = [assign(slot.parts, trees[slot.row.type]) if slot.row.type in trees else None for slot in slots]
    tail_ns = window_start_ns + max((r.end_ns - r.start_ns for r in rows), default=0)
    before = [p for p in loose if is_warm_up(p, window_start_ns, tail_ns, trees)]
    stray = [p for p in loose if not is_warm_up(p, window_start_ns, tail_ns, trees)]
    extra, known, beyond = _extras(stray, read, slots, expected)
    reached = Counter(s.row.type for s in slots if s.row.status != TRANSPORT_ERROR)
    earlier = {node.id: _earlier(node, before, prior) for tree in trees.values() for node in tree.nodes.values()}
    nodes = tuple(
        _node_tally(node, tree, slots, read, earlier[node.id])
        for tree in trees.values()
        if reached[tree.type]
        for node in tree.nodes.values()
    )
    calls = Counter({**(prior or {}), **earlier})
    for one in nodes:
        calls[one.node] += one.reference_min
    return Tally(
        nodes=nodes,
        missing=_missing(nodes),
        extra=extra,
        known_extra=known,
        orphans=_orphans(slots, stray),
        requests=dict(reached),
        outside=sum(len(p.spans) for p in before),
        lag_ns=lag,
        calls=dict(calls),
        beyond=beyond,
    )


def _later(span: Span, by_ns: int) -> Span:
    return replace(span, start_ns=span.start_ns + by_ns, end_ns=span.end_ns + by_ns)


# --- counts ----------------------------------------------------------------------------------------------------------


def _earlier(node: SpanNode, before: list[Fragment], prior: dict[str, int] | None) -> int:
    count = sum(1 for p in before for sig in p.signatures if fits(sig, node.kind, node.family, node.match) != NO)
    return count + (prior or {}).get(node.id, 0)


def _node_tally(
    node: SpanNode, tree: TypeTree, slots: list[Slot], read: list[Assignment | None], earlier: int
) -> NodeTally:
    requests = received = parents_ok = as_expected = rootless = 0
    first_loss = None
    for slot, result in zip(slots, read):
        if slot.row.type != tree.type or slot.row.status == TRANSPORT_ERROR or result is None:
            continue
        requests += 1
        ids = [span for span, name in result.node_of.items() if name == node.id]
        received += len(ids)
        parents_ok += sum(result.parent_ok[i] for i in ids)
        as_expected += sum(result.as_expected[i] for i in ids)
        rootless += sum(i in result.rootless for i in ids)
        if first_loss is None and len(ids) < node.count_min:
            first_loss = requests
    rule = tree.expected.get(node.id, EXACT_NODE)
    low, high = requests * node.count_min, requests * node.count_max
    expected_min, expected_max = _bounds(rule, low, high, max(0, rule.first - earlier))
    return NodeTally(
        type=tree.type,
        node=node.id,
        kind=node.kind,
        family=node.family,
        match=node.match,
        requests=requests,
        reference_min=low,
        reference_max=high,
        expected_min=expected_min,
        expected_max=expected_max,
        received=received,
        parents_ok=parents_ok,
        parents_as_expected=as_expected,
        rootless=rootless,
        mode=rule.mode,
        cause=rule.cause,
        calls_to_first_loss=first_loss,
    )


def _bounds(rule: Expectation, low: int, high: int, left: int) -> tuple[int, int]:
    if rule.mode == "none":
        return 0, 0
    if rule.mode == "first":  # the remaining first calls; their distribution over types is unknown
        return min(low, left), min(high, left)
    if rule.mode == "range":
        return math.floor(low * rule.min_ratio), math.ceil(high * rule.max_ratio)
    return low, high


def _missing(nodes: Sequence[NodeTally]) -> tuple[Missing, ...]:
    out = []
    for n in nodes:
        label = "%s %s" % (n.kind, n.family)
        lost = max(0, n.reference_min - n.received)
        unknown = min(lost, max(0, n.expected_min - n.received))
        if lost - unknown:
            out.append(Missing(n.type, n.node, label, lost - unknown, known=True, cause=n.cause or "unknown"))
        if unknown:
            out.append(Missing(n.type, n.node, label, unknown, known=False, cause="not expected of this form"))
    return tuple(out)


def _extras(
    stray: list[Fragment], read: list[Assignment | None], slots: list[Slot], expected: FormExpectation
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    extra: Counter[str] = Counter()
    known: Counter[str] = Counter()
    spans = [(span, NO_REQUEST) for part in stray for span in part.spans]
    spans += [(span, slot.row.type) for slot, r in zip(slots, read) if r is not None for span in r.extra]
    for span, request in spans:
        sig = signature(span)
        name = ("%s %s" % (sig.label(), sig.target)).strip()
        hit = any(_known(rule, request) and fits(sig, rule.kind, rule.family, rule.match) for rule in expected.extra)
        (known if hit else extra)[name] += 1
    return dict(extra), dict(known), dict(Counter(request for _, request in spans))


def _known(rule: ExtraSpan, request: str) -> bool:
    """Spans of the start of the service do not count under load."""
    return not rule.start and (request == NO_REQUEST or rule.request in ("*", request))


def _orphans(slots: list[Slot], stray: list[Fragment]) -> dict[str, int]:
    lost = [p for s in slots for p in s.parts if p.lost] + [p for p in stray if p.lost]
    return dict(Counter(p.signatures[0].label() for p in lost))
