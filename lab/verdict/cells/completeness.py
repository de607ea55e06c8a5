"""Two scores of a form's spans: coverage of the reference, and conformance with the form's expectation.

Both count spans of measured requests only. Missing and misplaced spans are listed by kind, with count and known cause.
Without counts or without an expectation, a score is absent and `not_counted` says why; it is not replaced by zero, an
empty list or 100 %.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from lab.guest.scoring.tally import NO_REQUEST, NodeTally, Tally
from lab.model.summary_form import Conformance, Cover, Coverage, Misplaced, MissingSpans, Node, SpanCount

# Two forms delivered the same tree of a request type when no node's spans per request, as a share of the reference's,
# nor the number of further spans per request, differ by more than this.
SAME_SHARE: Final = 0.005
UNKNOWN: Final = "no expectation for this form on this service; see coverage"


def score(tallies: Iterable[Tally]) -> tuple[Node, ...]:
    """Sum the tallies of all cells into one row per request type and node, in the order of the reference."""
    found: dict[tuple[str, str], list[NodeTally]] = defaultdict(list)
    for tally in tallies:
        for node in tally.nodes:
            found[node.type, node.node].append(node)
    return tuple(_sum(nodes) for nodes in found.values())


def _sum(nodes: Sequence[NodeTally]) -> Node:
    one = nodes[0]
    return Node(
        request=one.type,
        node=one.node,
        kind=f"{one.family} {one.kind}",
        match=one.match,
        reference=sum(_clamp(node.received, node.reference_min, node.reference_max) for node in nodes),
        received=sum(node.received for node in nodes),
        expected=sum(_clamp(node.received, node.expected_min, node.expected_max) for node in nodes),
        conforming=sum(min(node.received, node.expected_max) for node in nodes),
        parents_right=sum(node.parents_ok for node in nodes),
        parents_conforming=sum(node.parents_as_expected for node in nodes),
        roots=sum(node.rootless for node in nodes),
        mode=one.mode,
        cause=next((node.cause for node in nodes if node.cause), ""),
        calls_to_first_loss=min(
            (node.calls_to_first_loss for node in nodes if node.calls_to_first_loss is not None), default=None
        ),
    )


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def coverage(rows: Sequence[Node], why_not: str) -> Coverage:
    """forms.NAME.coverage of summary.json. why_not: why nothing was counted; "" when it was."""
    counted = () if why_not else rows
    whole = _cover(counted)
    types = dict.fromkeys(row.request for row in counted)
    return Coverage(
        reference=None if why_not else whole.reference,
        received=None if why_not else whole.received,
        ratio=whole.ratio,
        parents_ok=whole.parents_ok,
        by_type={request: _cover([row for row in counted if row.request == request]) for request in types},
        misplaced=misplaced(counted),
        not_counted=why_not,
    )


def _cover(rows: Sequence[Node]) -> Cover:
    reference = sum(row.reference for row in rows)
    received = sum(min(row.received, row.reference) for row in rows)
    return Cover(
        reference=reference,
        received=received,
        ratio=_ratio(received, reference),
        parents_ok=_ratio(sum(row.parents_right for row in rows), sum(row.received for row in rows)),
    )


def conformance(
    rows: Sequence[Node], tallies: Sequence[Tally], why_not: str, *, known: bool, bare: bool
) -> Conformance:
    """forms.NAME.conformance of summary.json: expected, received, missing, and spans beyond the reference.

    why_not: why nothing was counted; known: whether the form has an expectation on this service; bare: it is not
    instrumented, so nothing is missing.
    """
    expected = sum(row.expected for row in rows)
    reason = why_not or ("" if known else UNKNOWN) or ("" if expected else "this form has no expected spans here")
    received = sum(min(row.conforming, row.expected) for row in rows)
    parents = _ratio(sum(row.parents_conforming for row in rows), sum(row.received for row in rows))
    return Conformance(
        expected=None if why_not or not known else expected,
        received=None if why_not or not known else received,
        ratio=None if reason else _ratio(received, expected),
        parents_ok=None if reason else parents,
        missing=() if bare else missing(rows, known=known),
        surplus=sum(max(0, row.received - row.conforming) for row in rows),
        extra=_counted(tally.known_extra for tally in tallies),
        unexpected=_counted(tally.extra for tally in tallies),
        orphans=None if why_not else sum(sum(tally.orphans.values()) for tally in tallies),
        not_counted=reason,
    )


def missing(rows: Sequence[Node], *, known: bool = True) -> tuple[MissingSpans, ...]:
    """Reference spans that were not received, by kind and cause; `known`: whether the form has an expectation."""
    found: dict[tuple[str, str, bool], list[tuple[int, Node]]] = defaultdict(list)
    for row in rows:
        surprise = row.expected - min(row.conforming, row.expected)
        foreseen = row.reference - min(row.received, row.reference) - surprise
        for count, known_gap in ((foreseen, True), (surprise, False)):
            if count > 0:
                surprising = "not expected to be missing" if known else "unknown"
                found[row.kind, (row.cause or "unknown") if known_gap else surprising, known_gap].append((count, row))
    gaps = [
        MissingSpans(
            kind=kind,
            count=sum(count for count, _ in lost),
            of=sum(row.reference for _, row in lost),
            cause=cause,
            known=known_gap,
            nodes=_nodes(row for _, row in lost),
        )
        for (kind, cause, known_gap), lost in found.items()
    ]
    return tuple(sorted(gaps, key=lambda gap: (gap.known, -gap.count)))


def misplaced(rows: Sequence[Node]) -> tuple[Misplaced, ...]:
    """Received reference spans with another parent, by kind; `roots`: how many are roots of their own traces."""
    found: dict[tuple[str, str], list[Node]] = defaultdict(list)
    for row in rows:
        if row.received > row.parents_right:
            # a deviation from the expectation has no known cause
            cause = row.cause if row.cause and row.parents_conforming == row.received else "unknown"
            found[row.kind, cause].append(row)
    gaps = [
        Misplaced(
            kind=kind,
            count=sum(row.received - row.parents_right for row in moved),
            of=sum(row.received for row in moved),
            roots=sum(row.roots for row in moved),
            cause=cause,
            nodes=_nodes(moved),
        )
        for (kind, cause), moved in found.items()
    ]
    return tuple(sorted(gaps, key=lambda gap: -gap.count))


def _nodes(rows: Iterable[Node]) -> tuple[str, ...]:
    return tuple(f"{row.request}: {row.match}" for row in rows)


def _counted(parts: Iterable[dict[str, int]]) -> tuple[SpanCount, ...]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return tuple(SpanCount(span=span, count=count) for span, count in total.most_common())


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def unequal_types(one: Sequence[Tally], other: Sequence[Tally]) -> dict[str, str]:
    """Request type -> the first difference between the spans of two forms. Types not in the result are equal.

    Spans beyond the reference count as well: a form that sends more of them does more work. Of a node whose number has
    a range, every number received is all of its reference: so both are shares of the larger reference of the two.
    """
    requests, requests_twin = _requests(one), _requests(other)
    twins = {(row.request, row.node): row for row in score(other)}
    beyond, beyond_twin = _beyond(one), _beyond(other)
    loose, loose_twin = beyond.pop(NO_REQUEST, 0.0), beyond_twin.pop(NO_REQUEST, 0.0)
    found = dict.fromkeys(requests.keys() ^ requests_twin.keys(), "only one of them has requests of this type")
    for row in score(one):
        twin = twins.get((row.request, row.node))
        if row.request in found or twin is None:
            continue
        count, count_twin = max(1, requests[row.request]), max(1, requests_twin[row.request])
        most = max(1.0, row.reference / count, twin.reference / count_twin)
        for what, a, b in (
            ("", row.received / count / most, twin.received / count_twin / most),
            ("right parents of ", row.parents_right / count / most, twin.parents_right / count_twin / most),
        ):
            if abs(a - b) > SAME_SHARE:
                found[row.request] = f"{what}{row.kind} {row.match} {a:.0%} against {b:.0%}"
                break
    for request in {**beyond, **beyond_twin}:
        for what, a, b in (
            ("spans beyond the reference", beyond.get(request, 0.0), beyond_twin.get(request, 0.0)),
            ("spans of no request", loose, loose_twin),
        ):
            if abs(a - b) > SAME_SHARE:
                found.setdefault(request, f"{a:.3g} against {b:.3g} {what} per request")
    return found


def _beyond(tallies: Sequence[Tally]) -> dict[str, float]:
    """Spans beyond the reference per request: of each type, and those of no request per request of any type."""
    requests, spans = _requests(tallies), Counter[str]()
    for tally in tallies:
        spans.update(tally.beyond)
    each = {request: spans[request] / count for request, count in requests.items()}
    return {**each, NO_REQUEST: spans[NO_REQUEST] / max(1, sum(requests.values()))}


def _requests(tallies: Sequence[Tally]) -> Counter[str]:
    total = Counter[str]()
    for tally in tallies:
        total.update(tally.requests)
    return total
