"""What a cell's traffic gave, per request type and reference node. Pure.

Traces carry no request id (nothing is injected into the service), so a fragment belongs to the request that was under
way when it began, of a type whose reference it fits best. Canary and warm-up have no row in requests.csv.gz and fall
out; what begins inside the window and fits no request is told as extra or orphan by its signature.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lab.guest.signature import NO, fits, signature
from lab.guest.trees import EXACT_NODE, Assignment, Fragment, TypeTree, assign, fragments, starts_fragment, type_trees
from lab.guest.wire import Expectation, ExtraSpan, FormExpectation, Span, SpanNode

SLACK_NS = 2_000_000  # an agent's clock offset, taken once at its start, may be off by this much
TRANSPORT_ERROR = 0


@dataclass(frozen=True)
class Row:
    """One measured request of requests.csv.gz. status 0: transport error, -1: timeout."""

    type: str
    start_ns: int
    end_ns: int
    status: int
    intended_ns: int = 0
    request_id: str = ""


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
    mode: str
    cause: str
    calls_to_first_loss: int | None  # 1-based call of the window that lost its span first; None: none lost


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
    by_request: tuple[Assignment | None, ...] = field(default=(), repr=False)  # one per row, for waterfalls


@dataclass
class _Slot:
    row: Row
    parts: list[Fragment]
    taken: Counter[str]


def tally(
    spans: Iterable[Span],
    rows: Sequence[Row],
    reference: dict[str, tuple[SpanNode, ...]],
    expected: FormExpectation,
    *,
    window_start_ns: int,
    prior: dict[str, int] | None = None,
) -> Tally:
    """Count a cell. prior: node id -> calls of this life seen before the file began (canary), for `first` modes."""
    trees = type_trees(reference, expected)
    parts = fragments(spans)
    slots = [_Slot(row=row, parts=[], taken=Counter()) for row in sorted(rows, key=lambda r: r.start_ns)]
    loose = _attribute(parts, slots, trees)
    read = [assign(slot.parts, trees[slot.row.type]) if slot.row.type in trees else None for slot in slots]
    tail_ns = window_start_ns + max((r.end_ns - r.start_ns for r in rows), default=0)
    before = [p for p in loose if _warm_up(p, window_start_ns, tail_ns, trees)]
    stray = [p for p in loose if not _warm_up(p, window_start_ns, tail_ns, trees)]
    extra, known = _extras(stray, read, slots, expected)
    reached = Counter(s.row.type for s in slots if s.row.status != TRANSPORT_ERROR)
    nodes = tuple(
        _node_tally(node, tree, slots, read, _earlier(node, before, prior))
        for tree in trees.values()
        if reached[tree.type]
        for node in tree.nodes.values()
    )
    return Tally(
        nodes=nodes,
        missing=_missing(nodes),
        extra=extra,
        known_extra=known,
        orphans=_orphans(slots, stray),
        requests=dict(reached),
        outside=sum(len(p.spans) for p in before),
        by_request=tuple(read),
    )


# --- attribution -----------------------------------------------------------------------------------------------------


def _attribute(parts: list[Fragment], slots: list[_Slot], trees: dict[str, TypeTree]) -> list[Fragment]:
    """Give each fragment to one request; whole trees first, then what shares their trace, then the rest by time."""
    starts = [slot.row.start_ns for slot in slots]
    longest = max((s.row.end_ns - s.row.start_ns for s in slots), default=0) + SLACK_NS
    by_trace: dict[str, _Slot] = {}
    waiting: list[Fragment] = []
    for part in parts:
        slot = None if part.lost else _place(part, slots, starts, longest, trees, root=True)
        if slot is None:
            waiting.append(part)
        else:
            by_trace[part.trace_id] = slot
    loose = []
    for part in waiting:
        slot = by_trace.get(part.trace_id) or _place(part, slots, starts, longest, trees, root=False)
        if slot is None:
            loose.append(part)
        elif part not in slot.parts:
            slot.parts.append(part)
    return loose


def _place(
    part: Fragment, slots: list[_Slot], starts: list[int], longest: int, trees: dict[str, TypeTree], *, root: bool
) -> _Slot | None:
    best: tuple[int, int, _Slot, str] | None = None
    scores: dict[str, int] = {}
    index = bisect_right(starts, part.start_ns + SLACK_NS) - 1
    while index >= 0 and starts[index] >= part.start_ns - longest:
        slot = slots[index]
        index -= 1
        tree = trees.get(slot.row.type)
        if tree is None or slot.row.end_ns + SLACK_NS < part.start_ns:
            continue
        node = _entry(part, tree, slot, root=root)
        if node is None:
            continue
        if tree.type not in scores:
            scores[tree.type] = assign((part,), tree).score
        # a root begins right after its request; the rest goes to the request that ends first, so that most find a place
        rank = slot.row.start_ns if root else -slot.row.end_ns
        if best is None or (scores[tree.type], rank) > best[:2]:
            best = (scores[tree.type], rank, slot, node)
    if best is None:
        return None
    slot = best[2]
    slot.taken[best[3]] += 1
    slot.parts.append(part)
    return slot


def _entry(part: Fragment, tree: TypeTree, slot: _Slot, *, root: bool) -> str | None:
    """The node this fragment's top may be in this request: its root, or a node where a trace of this form begins."""
    sig = part.signatures[0]
    for node in tree.nodes.values():
        is_root = not tree.above[node.id]
        if is_root != root or slot.taken[node.id] >= node.count_max:
            continue
        if not root and not part.lost and not starts_fragment(tree, node.id):
            continue
        if fits(sig, node.kind, node.family, node.match) != NO:
            return node.id
    return None


def _warm_up(part: Fragment, window_start_ns: int, tail_ns: int, trees: dict[str, TypeTree]) -> bool:
    """Began before the window, or fits the reference and began while warm-up requests may still have been under way."""
    if part.start_ns < window_start_ns or part.start_ns >= tail_ns:
        return part.start_ns < window_start_ns
    nodes = [node for tree in trees.values() for node in tree.nodes.values()]
    return any(fits(part.signatures[0], node.kind, node.family, node.match) != NO for node in nodes)


# --- counts ----------------------------------------------------------------------------------------------------------


def _earlier(node: SpanNode, before: list[Fragment], prior: dict[str, int] | None) -> int:
    seen = sum(1 for p in before for sig in p.signatures if fits(sig, node.kind, node.family, node.match) != NO)
    return seen + (prior or {}).get(node.id, 0)


def _node_tally(
    node: SpanNode, tree: TypeTree, slots: list[_Slot], read: list[Assignment | None], earlier: int
) -> NodeTally:
    requests = received = parents_ok = as_expected = 0
    first_loss = None
    for slot, result in zip(slots, read):
        if slot.row.type != tree.type or slot.row.status == TRANSPORT_ERROR or result is None:
            continue
        requests += 1
        ids = [span for span, name in result.node_of.items() if name == node.id]
        received += len(ids)
        parents_ok += sum(result.parent_ok[i] for i in ids)
        as_expected += sum(result.as_expected[i] for i in ids)
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
        mode=rule.mode,
        cause=rule.cause,
        calls_to_first_loss=first_loss,
    )


def _bounds(rule: Expectation, low: int, high: int, left: int) -> tuple[int, int]:
    if rule.mode == "none":
        return 0, 0
    if rule.mode == "first":  # what is left of the first calls; how they spread over the types is not known
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
    stray: list[Fragment], read: list[Assignment | None], slots: list[_Slot], expected: FormExpectation
) -> tuple[dict[str, int], dict[str, int]]:
    extra: Counter[str] = Counter()
    known: Counter[str] = Counter()
    spans = [(span, "*") for part in stray for span in part.spans]
    spans += [(span, slot.row.type) for slot, r in zip(slots, read) if r is not None for span in r.extra]
    for span, request in spans:
        sig = signature(span)
        name = ("%s %s" % (sig.label(), sig.target)).strip()
        hit = any(_known(rule, request) and fits(sig, rule.kind, rule.family, rule.match) for rule in expected.extra)
        (known if hit else extra)[name] += 1
    return dict(extra), dict(known)


def _known(rule: ExtraSpan, request: str) -> bool:
    return rule.start or request == "*" or rule.request in ("*", request)


def _orphans(slots: list[_Slot], stray: list[Fragment]) -> dict[str, int]:
    lost = [p for s in slots for p in s.parts if p.lost] + [p for p in stray if p.lost]
    return dict(Counter(p.signatures[0].label() for p in lost))
