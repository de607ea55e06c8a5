"""Build trees of spans and compare them with a reference: the node of each span, and whether its parent is right. Pure.

A fragment is a set of spans connected by parent links; a trace that lost a span has several.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lab.guest.scoring.signature import NO, Signature, fits, signature
from lab.guest.wire import Expectation, FormExpectation, Span, SpanNode

EXACT_NODE = Expectation(node="")


@dataclass(frozen=True, eq=False)
class Fragment:
    """Spans connected by parent links, parents before children. `lost`: the parent of its top was never received."""

    trace_id: str
    spans: tuple[Span, ...]
    signatures: tuple[Signature, ...]
    lost: bool

    @property
    def top(self) -> Span:
        return self.spans[0]

    @property
    def start_ns(self) -> int:
        return self.spans[0].start_ns


@dataclass(frozen=True)
class Assignment:
    """A fragment read as one request type. Keys are span ids; `extra` has no node in the reference."""

    type: str
    node_of: dict[str, str]
    extra: tuple[Span, ...]
    parent_ok: dict[str, bool]  # as the reference: the nearest received ancestor
    as_expected: dict[str, bool]  # as this form's expectation allows
    rootless: frozenset[str]  # of those unlike the reference: they have no parent
    score: int


@dataclass(frozen=True)
class TypeTree:
    """One request type's reference with this form's expectations, indexed."""

    type: str
    nodes: dict[str, SpanNode]
    expected: dict[str, Expectation]
    above: dict[str, tuple[str, ...]] = field(default_factory=dict)  # ancestors, nearest first

    def expectation(self, node: str) -> Expectation:
        return self.expected.get(node, EXACT_NODE)


def type_trees(reference: dict[str, tuple[SpanNode, ...]], expected: FormExpectation) -> dict[str, TypeTree]:
    """Index the reference by request type."""
    trees = {}
    for name, nodes in reference.items():
        by_id = {node.id: node for node in nodes}
        above = {node.id: tuple(_ancestors(node, by_id)) for node in nodes}
        rules = {e.node: e for e in expected.requests.get(name, ())}
        trees[name] = TypeTree(type=name, nodes=by_id, expected=rules, above=above)
    return trees


def _ancestors(node: SpanNode, by_id: dict[str, SpanNode]) -> list[str]:
    chain: list[str] = []
    while node.parent and node.parent in by_id and node.parent not in chain:
        chain.append(node.parent)
        node = by_id[node.parent]
    return chain


def fragments(spans: Iterable[Span]) -> list[Fragment]:
    """Group spans into fragments, ordered by the start of their tops; a repeated span id counts once."""
    by_id: dict[tuple[str, str], Span] = {}
    for span in spans:
        by_id.setdefault((span.trace_id, span.span_id), span)
    children: dict[tuple[str, str], list[Span]] = {}
    tops: list[Span] = []
    for span in by_id.values():
        key = (span.trace_id, span.parent_id)
        if span.parent_id and key in by_id and span.parent_id != span.span_id:
            children.setdefault(key, []).append(span)
        else:
            tops.append(span)
    return [_grow(top, children) for top in sorted(tops, key=lambda s: s.start_ns)]


def _grow(top: Span, children: dict[tuple[str, str], list[Span]]) -> Fragment:
    ordered, queue = [], [top]
    while queue:
        span = queue.pop(0)
        ordered.append(span)
        queue.extend(sorted(children.pop((span.trace_id, span.span_id), []), key=lambda s: s.start_ns))
    signatures = tuple(signature(span) for span in ordered)
    return Fragment(trace_id=top.trace_id, spans=tuple(ordered), signatures=signatures, lost=bool(top.parent_id))


def assign(parts: Sequence[Fragment], tree: TypeTree) -> Assignment:
    """Read fragments of one request as `tree`: every span gets the free node that fits signature and position best."""
    node_of: dict[str, str] = {}
    free = {node.id: node.count_max for node in tree.nodes.values()}
    extra: list[Span] = []
    by_id = {span.span_id: span for part in parts for span in part.spans}
    exact = 0
    for part in parts:
        for span, sig in zip(part.spans, part.signatures):
            best = _best_node(sig, _above(span, by_id, node_of), tree, free)
            if best is None:
                extra.append(span)
                continue
            node, strength = best
            node_of[span.span_id] = node
            free[node] -= 1
            exact += strength
    reference_ok, expected_ok = _judge_parents(by_id, tree, node_of)
    rootless = frozenset(i for i, ok in reference_ok.items() if not ok and not by_id[i].parent_id)
    score = 2 * exact - 2 * len(extra) - sum(1 for node, left in free.items() if left == tree.nodes[node].count_max)
    return Assignment(
        type=tree.type,
        node_of=node_of,
        extra=tuple(extra),
        parent_ok=reference_ok,
        as_expected=expected_ok,
        rootless=rootless,
        score=score,
    )


def _above(span: Span, by_id: dict[str, Span], node_of: dict[str, str]) -> str | None:
    """The nearest ancestor that is a node; "" when a parent was never received, None above a root."""
    steps = len(by_id)
    while span.parent_id and steps:
        if span.parent_id in node_of:
            return node_of[span.parent_id]
        if span.parent_id not in by_id:
            return ""
        span = by_id[span.parent_id]
        steps -= 1
    return None


def _best_node(sig: Signature, parent: str | None, tree: TypeTree, free: dict[str, int]) -> tuple[str, int] | None:
    best: tuple[tuple[int, int], str, int] | None = None
    for node in tree.nodes.values():
        strength = fits(sig, node.kind, node.family, node.match) if free[node.id] > 0 else NO
        if strength == NO:
            continue
        chain = tree.above[node.id]
        distance = chain.index(parent) if parent in chain else len(tree.nodes)
        if not parent and not chain:
            distance = 0
        rank = (-strength, distance)
        if best is None or rank < best[0]:
            best = (rank, node.id, strength)
    return None if best is None else (best[1], best[2])


def _judge_parents(
    by_id: dict[str, Span], tree: TypeTree, node_of: dict[str, str]
) -> tuple[dict[str, bool], dict[str, bool]]:
    received = set(node_of.values())
    reference_ok: dict[str, bool] = {}
    expected_ok: dict[str, bool] = {}
    for span_id, node in node_of.items():
        actual = _above(by_id[span_id], by_id, node_of)
        near = next((a for a in tree.above[node] if a in received), None)
        reference_ok[span_id] = actual == near
        expected_ok[span_id] = _as_expected(tree, node, actual)
    return reference_ok, expected_ok


def _as_expected(tree: TypeTree, node: str, actual: str | None) -> bool:
    """`actual`: the parent's node id, "" for a parent unknown or never received, None for a root."""
    rule = tree.expectation(node).parent
    if rule == "root":
        return actual is None
    if rule == "may-be-wrong":
        return True
    if rule not in ("always", "may-be-lost"):
        return actual == rule
    if rule == "may-be-lost" and actual in ("", None):
        return True
    return actual in _allowed_parents(tree, node)


def _allowed_parents(tree: TypeTree, node: str) -> set[str | None]:
    """The parent node; where that one may be missing, also the next one above, up to none at all."""
    allowed: set[str | None] = set()
    for ancestor in tree.above[node]:
        allowed.add(ancestor)
        if surely_received(tree.expectation(ancestor)):
            return allowed
    allowed.add(None)
    return allowed


def surely_received(rule: Expectation) -> bool:
    """Whether every call creates this span, by the expectation of the form."""
    return rule.mode == "exact" or (rule.mode == "range" and rule.min_ratio >= 1.0)


def starts_fragment(tree: TypeTree, node: str) -> bool:
    """Whether a trace of this form may begin at `node`."""
    rule = tree.expectation(node).parent
    return rule in ("root", "may-be-lost", "may-be-wrong") or None in _allowed_parents(tree, node)
