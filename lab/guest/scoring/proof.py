"""Compare canary spans with the expectation of a form. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lab.guest.scoring.signature import Signature, fits, signature
from lab.guest.scoring.trees import Assignment, Fragment, TypeTree, assign, fragments, surely_received
from lab.guest.wire import CanaryRequest, FormExpectation, Span

SLACK_NS = 20_000_000  # canaries are sent one at a time, with longer breaks than this


@dataclass(frozen=True)
class Sent:
    """One canary request, from the load generator. status 0: transport error, -1: timeout."""

    type: str
    request_id: str
    status: int
    start_ns: int
    end_ns: int


def required(tree: TypeTree) -> dict[str, int]:
    """Node id -> spans that a first request must have in this form."""
    return {n.id: n.count_min for n in tree.nodes.values() if _certain(tree, n.id) and n.count_min}


def _certain(tree: TypeTree, node: str) -> bool:
    rule = tree.expectation(node)
    return surely_received(rule) or (rule.mode == "first" and rule.first > 0)


def read_canaries(
    spans: Sequence[Span], sent: Sequence[Sent], trees: dict[str, TypeTree], expected: FormExpectation
) -> tuple[tuple[CanaryRequest, ...], int]:
    """Judge each request; second value: spans that began before the first one (made by the start alone)."""
    parts = fragments(spans)
    first = sent[0].start_ns - SLACK_NS if sent else 0
    ends = [s.start_ns - SLACK_NS for s in sent[1:]] + [2**63]
    results = []
    begin = first
    for request, end in zip(sent, ends):
        own = [p for p in parts if begin <= p.start_ns < end]
        results.append(_judge(request, own, trees[request.type], expected))
        begin = end
    return tuple(results), sum(len(p.spans) for p in parts if p.start_ns < first)


def _judge(request: Sent, parts: list[Fragment], tree: TypeTree, expected: FormExpectation) -> CanaryRequest:
    result = assign(parts, tree)
    received = Counter(result.node_of.values())
    right = result.as_expected if expected.known else result.parent_ok
    wrong = sorted({result.node_of[i] for i, ok in right.items() if not ok})
    wanted = required(tree) if expected.known else {n.id: n.count_min for n in tree.nodes.values()}
    return CanaryRequest(
        type=request.type,
        request_id=request.request_id,
        status=request.status,
        start_ns=request.start_ns,
        end_ns=request.end_ns,
        spans=tuple(span for part in parts for span in part.spans),
        seen=dict(received),
        missing=tuple(n for n, count in sorted(wanted.items()) if received[n] < count),
        wrong_parent=tuple(wrong),
        unexpected=_unexpected(result, request.type, expected),
    )


def _unexpected(result: Assignment, request: str, expected: FormExpectation) -> int:
    rules = [r for r in expected.extra if r.start or r.request in ("*", request)]
    sigs = [signature(span) for span in result.extra]
    return sum(1 for sig in sigs if not any(fits(sig, r.kind, r.family, r.match) for r in rules))


def differences(requests: Sequence[CanaryRequest]) -> str:
    """Differences from the expectation or, without one, from the reference; "" when there are none."""
    found = []
    for r in requests:
        if r.missing:
            found.append("%s: no span for %s" % (r.type, ", ".join(r.missing)))
        if r.wrong_parent:
            found.append("%s: wrong parent of %s" % (r.type, ", ".join(r.wrong_parent)))
    return "; ".join(found)


def judge_some(requests: Sequence[CanaryRequest], expected: FormExpectation) -> str:
    """Why the proof of an instrumented form fails; "" when it holds.

    With an expectation, every expected span must arrive under the right parent. Without one, one span of a request is
    enough: the run finds out the rest.
    """
    if expected.known:
        return differences(requests)
    if any(r.spans for r in requests):
        return ""
    return "no span arrived for any of %d requests (%s)" % (len(requests), ", ".join(r.type for r in requests))


def judge_none(spans: Sequence[Span]) -> str:
    """Why the proof of an uninstrumented form fails: every kind of span, with its scope."""
    if not spans:
        return ""
    made = Counter("%s by %s" % (_name(signature(s)), s.scope or "an unnamed scope") for s in spans)
    kinds = ", ".join("%d x %s" % (count, name) for name, count in sorted(made.items()))
    return "%d spans arrived from a form without instrumentation: the service creates them (%s)" % (len(spans), kinds)


def _name(sig: Signature) -> str:
    return ("%s %s" % (sig.label(), sig.target)).strip()
