"""Two scores of a form's spans: coverage (of what a person would want), conformance (to what it is known to give).

Both count spans of measured requests only. What is missing is named by kind, with its count and the known cause.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lab.guest.signature import NO, Signature, fits
from lab.guest.trees import surely_received
from lab.guest.wire import Expectation, ExtraSpan, FormExpectation, Plan, SpanNode
from lab.verdict.attribution import LOST, ROOT, Key, Tally

EXACT: Final = Expectation(node="*")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeScore:
    """One reference node of one request type, over the form's valid cells. `cause` explains a known difference."""

    request: str
    node: SpanNode
    reference: int
    received: int
    expected: int
    conforming: int
    parents_right: int  # as the reference has it
    parents_conforming: int  # as the form is known to have it
    mode: str
    cause: str


def score(tally: Tally, plan: Plan, form: str, lives: int) -> list[NodeScore]:
    """One row per request type and node of the reference. `lives`: process lives the tally spans (for "first n")."""
    expected = plan.forms[form].expected
    rows: list[NodeScore] = []
    for request, tree in plan.reference.items():
        if tally.requests[request]:
            rules = _rules(expected, request, tree)
            rows.extend(_node(tally, request, node, tree, rules, lives) for node in tree)
    return rows


def _rules(expected: FormExpectation, request: str, tree: Sequence[SpanNode]) -> dict[str, Expectation]:
    given = {rule.node: rule for rule in expected.requests.get(request, ())}
    return {node.id: given.get(node.id, EXACT) for node in tree}


def _node(
    tally: Tally, request: str, node: SpanNode, tree: Sequence[SpanNode], rules: dict[str, Expectation], lives: int
) -> NodeScore:
    requests, key = tally.requests[request], (request, node.id)
    received, rule = tally.received[key], rules[node.id]
    reference = _clamp(received, requests * node.count_min, requests * node.count_max)
    low, high = _bounds(rule, reference, lives)
    return NodeScore(
        request=request,
        node=node,
        reference=reference,
        received=received,
        expected=_clamp(received, low, high),
        conforming=min(received, high),
        parents_right=tally.right[key],
        parents_conforming=_conforming_parents(tally, key, node, tree, rules),
        mode=rule.mode,
        cause=rule.cause,
    )


def _bounds(rule: Expectation, reference: int, lives: int) -> tuple[int, int]:
    """Fewest and most spans that agree with the form's own expectation."""
    if rule.mode == "none":
        return 0, 0
    if rule.mode == "first":
        # canary and warm-up use some of the first n up, and how many differs: fewer than n is no surprise
        return 0, min(reference, rule.first * lives)
    if rule.mode == "range":
        return int(reference * rule.min_ratio), round(reference * rule.max_ratio)
    return reference, reference


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def _conforming_parents(
    tally: Tally, key: Key, node: SpanNode, tree: Sequence[SpanNode], rules: dict[str, Expectation]
) -> int:
    seen, rule = tally.parents.get(key), rules[node.id]
    if seen is None:
        return 0
    if rule.parent == "root":
        return seen[ROOT]
    if rule.parent not in {"always", "may-be-lost"}:
        return seen[rule.parent]
    lost = seen[ROOT] + seen[LOST] if rule.parent == "may-be-lost" else 0
    allowed = _allowed_parents(node, {item.id: item for item in tree}, rules)
    if rule.parent == "may-be-lost":
        allowed.discard(ROOT)
    return lost + sum(seen[parent] for parent in allowed)


def _allowed_parents(node: SpanNode, tree: dict[str, SpanNode], rules: dict[str, Expectation]) -> set[str]:
    """The parent node; where that one is not surely received the next one above too, up to being a root."""
    allowed, at = set(), node.parent
    while at:
        allowed.add(at)
        if surely_received(rules[at]):
            return allowed
        at = tree[at].parent
    return allowed | {ROOT}


def coverage(rows: Sequence[NodeScore]) -> dict[str, Any]:
    """summary.json's forms.NAME.coverage."""
    by_type: dict[str, list[NodeScore]] = defaultdict(list)
    for row in rows:
        by_type[row.request].append(row)
    return {**_cover(rows), "by_type": {request: _cover(part) for request, part in by_type.items()}}


def _cover(rows: Sequence[NodeScore]) -> dict[str, Any]:
    reference = sum(row.reference for row in rows)
    received = sum(min(row.received, row.reference) for row in rows)
    spans = sum(row.received for row in rows)
    return {
        "reference": reference,
        "received": received,
        "ratio": _ratio(received, reference),
        "parents_ok": _ratio(sum(row.parents_right for row in rows), spans),
    }


def conformance(rows: Sequence[NodeScore], tally: Tally, extra: Sequence[ExtraSpan]) -> dict[str, Any]:
    """forms.NAME.conformance of summary.json: expected, received, missing[], and what came beyond the reference."""
    expected = sum(row.expected for row in rows)
    received = sum(min(row.conforming, row.expected) for row in rows)
    spans = sum(row.received for row in rows)
    known, unknown = _extras(tally, extra)
    return {
        "expected": expected,
        "received": received,
        # a form that is known to give nothing, and gives nothing, is as it should be
        "ratio": _ratio(received, expected) if expected else 1.0,
        "parents_ok": _ratio(sum(row.parents_conforming for row in rows), spans),
        "missing": missing(rows),
        "surplus": sum(max(0, row.received - row.conforming) for row in rows),
        "extra": known,
        "unexpected": unknown,
        "orphans": tally.orphans,
    }


def missing(rows: Sequence[NodeScore]) -> list[dict[str, Any]]:
    """Reference spans that did not come, by kind and cause; `known` tells the form's expectation from a surprise."""
    found: dict[tuple[str, str, bool], dict[str, Any]] = {}
    for row in rows:
        surprise = row.expected - min(row.conforming, row.expected)
        foreseen = row.reference - min(row.received, row.reference) - surprise
        for count, known in ((foreseen, True), (surprise, False)):
            if count <= 0:
                continue
            kind = f"{row.node.family} {row.node.kind}"
            cause = (row.cause or "unknown") if known else "not expected to be missing"
            entry = found.setdefault(
                (kind, cause, known), {"kind": kind, "count": 0, "cause": cause, "known": known, "of": 0, "nodes": []}
            )
            entry["count"] += count
            entry["of"] += row.reference
            entry["nodes"].append(f"{row.request}: {row.node.match}")
    return sorted(found.values(), key=lambda entry: (entry["known"], -entry["count"]))


def _extras(tally: Tally, rules: Sequence[ExtraSpan]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Spans beyond the reference: those the form is known to give, and those nobody foresaw."""
    known: list[dict[str, Any]] = []
    unknown: list[dict[str, Any]] = []
    for (request, about), count in sorted(tally.extra.items(), key=lambda item: -item[1]):
        row = {"request": request, "kind": f"{about.family} {about.kind}", "operation": about.target, "count": count}
        rule = next((r for r in rules if r.request in {"*", "", request} and _fits_extra(r, about)), None)
        (known if rule else unknown).append({**row, "cause": rule.cause} if rule else row)
    return known, unknown


def _fits_extra(rule: ExtraSpan, about: Signature) -> bool:
    return fits(about, rule.kind or "*", rule.family or "*", rule.match or "*") != NO


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


# Two forms gave the same tree of a request type when no node's share differs by more than this.
SAME_SHARE: Final = 0.005


def unequal_types(one: Sequence[NodeScore], other: Sequence[NodeScore]) -> dict[str, str]:
    """Request type -> the first difference between what two forms delivered. Types not in the result are equal."""
    shares = {(row.request, row.node.id): row for row in other}
    found: dict[str, str] = {}
    for row in one:
        twin = shares.get((row.request, row.node.id))
        if twin is None or row.request in found:
            continue
        a, b = _per_reference(row.received, row), _per_reference(twin.received, twin)
        if abs(a - b) > SAME_SHARE:
            found[row.request] = f"{row.node.family} {row.node.kind} {row.node.match}: {a:.0%} against {b:.0%}"
            continue
        a, b = _per_reference(row.parents_right, row), _per_reference(twin.parents_right, twin)
        if abs(a - b) > SAME_SHARE:
            found[row.request] = f"right parents of {row.node.kind} {row.node.match}: {a:.0%} against {b:.0%}"
    return found


def _per_reference(count: int, row: NodeScore) -> float:
    return count / row.reference if row.reference else 0.0
