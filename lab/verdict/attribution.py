"""Received spans to reference nodes: the request type and node of each span of a cell, and its parent there.

A trace belongs to the request type whose root it holds (or to the request that carried its id). A trace that lost its
root is given, node by node, to the type that still lacks the most of them: totals stay right, single requests may not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from lab.guest.signature import EXACT, NO, Signature, fits, signature
from lab.guest.wire import Span, SpanNode

Key = tuple[str, str]  # (request type, node id)
Reference = Mapping[str, tuple[SpanNode, ...]]
ROOT: Final = ""
LOST: Final = "?"  # the parent's id is there, the parent is not
CLOCK_SLACK_NS: Final = 1_000_000


class Light(NamedTuple):
    """What attribution keeps of a span: attributes of a hundred thousand spans would not fit comfortably."""

    span_id: str
    parent_id: str
    start_ns: int
    keys: dict[Key, int]  # every node it could be -> WEAK or EXACT
    about: Signature


@dataclass(slots=True)
class Tally:
    """Counts over one or more cells. parents[key][p]: spans of `key` whose nearest matched ancestor is node p."""

    requests: Counter[str] = field(default_factory=Counter)
    received: Counter[Key] = field(default_factory=Counter)
    right: Counter[Key] = field(default_factory=Counter)  # under the nearest reference ancestor that was received
    parents: dict[Key, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    extra: Counter[tuple[str, Signature]] = field(default_factory=Counter)  # type ("" unknown), what it is
    orphans: int = 0

    def add(self, other: Tally) -> None:
        self.requests.update(other.requests)
        self.received.update(other.received)
        self.right.update(other.right)
        self.extra.update(other.extra)
        self.orphans += other.orphans
        for key, counts in other.parents.items():
            self.parents[key].update(counts)


class Classifier:
    """Remembers what spans of one look can be: a cell has many spans and few looks."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._seen: dict[Signature, dict[Key, int]] = {}

    def light(self, span: Span) -> Light:
        about = signature(span)
        if about not in self._seen:
            self._seen[about] = {
                (request, node.id): strength
                for request, tree in self._reference.items()
                for node in tree
                if (strength := fits(about, node.kind, node.family, node.match)) != NO
            }
        return Light(span.span_id, span.parent_id, span.start_ns, self._seen[about], about)


def attribute(
    spans: Iterable[Span],
    reference: Reference,
    requests: Counter[str],
    since_ns: int,
    types: Mapping[str, str] | None = None,
) -> Tally:
    """Tally the spans of traces that began at or after `since_ns`. `types`: trace id -> request type, where known."""
    classifier = Classifier(reference)
    traces: dict[str, list[Light]] = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(classifier.light(span))
    whole: list[tuple[tuple[str, ...], list[Light]]] = []
    rest: list[tuple[tuple[str, ...], list[Light]]] = []
    for trace_id, trace in traces.items():
        # the warm-up's traces are in the same stream and end where the window begins
        if min(span.start_ns for span in trace) < since_ns - CLOCK_SLACK_NS:
            continue
        known = (types or {}).get(trace_id)
        candidates = (known,) if known else _types_of(trace, reference)
        (whole if len(candidates) == 1 else rest).append((candidates, trace))
    tally = Tally(requests=Counter(requests))
    for candidates, trace in (*whole, *rest):
        _count(trace, _pick(candidates, reference, tally), reference, tally)
    return tally


def _types_of(trace: list[Light], reference: Reference) -> tuple[str, ...]:
    """Request types whose root node is in the trace as a root."""
    roots = {(request, tree[0].id) for request, tree in reference.items() if tree}
    found = {key[0] for span in trace if span.parent_id == ROOT for key in span.keys if key in roots}
    return tuple(sorted(found))


def _pick(candidates: tuple[str, ...], reference: Reference, tally: Tally) -> str:
    """Of several possible types the one lacking most roots; "" when the trace has no root of any type."""
    if len(candidates) < 2:
        return candidates[0] if candidates else ""
    return max(candidates, key=lambda kind: tally.requests[kind] - tally.received[(kind, reference[kind][0].id)])


def _count(trace: list[Light], request: str, reference: Reference, tally: Tally) -> None:
    """Give each span a node, parents first, and count it under its nearest matched ancestor."""
    by_id = {span.span_id: span for span in trace}
    given: dict[str, Key | None] = {}
    used: Counter[Key] = Counter()
    above: list[tuple[Key, str]] = []
    for span in sorted(by_id.values(), key=lambda item: _depth(item, by_id)):
        parent = _ancestor(span, by_id, given)
        key = _best(span, request, parent, reference, tally, used)
        given[span.span_id] = key
        if span.parent_id and span.parent_id not in by_id:
            tally.orphans += 1
        if key is None:
            tally.extra[(request, span.about)] += 1
            continue
        used[key] += 1
        tally.received[key] += 1
        tally.parents[key][parent] += 1
        above.append((key, parent))
    for key, parent in above:
        tally.right[key] += parent == _wanted(key, request, reference, used)


def _wanted(key: Key, request: str, reference: Reference, used: Counter[Key]) -> str:
    """The right parent: the nearest ancestor received in this trace. A trace without its root never has ROOT right."""
    tree = {node.id: node for node in reference[key[0]]}
    at = tree[key[1]].parent
    while at and used[(key[0], at)] == 0 and request:
        at = tree[at].parent
    return at


def _depth(span: Light, by_id: Mapping[str, Light]) -> tuple[int, int]:
    depth, at, seen = 0, span, {span.span_id}
    while at.parent_id in by_id and at.parent_id not in seen:  # a loop of parents must not hang us
        at = by_id[at.parent_id]
        seen.add(at.span_id)
        depth += 1
    return depth, span.start_ns


def _ancestor(span: Light, by_id: Mapping[str, Light], given: Mapping[str, Key | None]) -> str:
    """Node id of the nearest matched ancestor, ROOT, or LOST when the chain leaves the trace."""
    at, seen = span, {span.span_id}
    while at.parent_id:
        if at.parent_id not in by_id or at.parent_id in seen:
            return LOST
        at = by_id[at.parent_id]
        seen.add(at.span_id)
        if key := given.get(at.span_id):
            return key[1]
    return ROOT


def _best(span: Light, request: str, parent: str, reference: Reference, tally: Tally, used: Counter[Key]) -> Key | None:
    """The node this span is: of the trace's type if known (sure fit first, then right parent), else the neediest."""
    choices = [key for key in span.keys if not request or key[0] == request]
    if not choices:
        return None
    spec = {(kind, node.id): node for kind in {key[0] for key in choices} for node in reference[kind]}
    if request:
        free = [key for key in choices if used[key] < spec[key].count_max]
        order = sorted(free, key=lambda key: (-span.keys[key], spec[key].parent != parent, used[key]))
        return order[0] if order else None
    need = {key: tally.requests[key[0]] * spec[key].count_max - tally.received[key] for key in choices}
    best = max(choices, key=lambda key: (span.keys[key] == EXACT, spec[key].parent == parent, need[key]))
    return best if need[best] > 0 else None
