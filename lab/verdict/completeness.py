"""Two scores of a form's spans: coverage (of what a person would want), conformance (to what it is known to give).

Both count spans of measured requests only. What is missing, or hangs elsewhere, is named by kind, with its count and
the known cause. Where nothing was counted, or nothing is known, a score is absent and `not_counted` says why: no zero,
no empty list and no 100 % stand in for it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lab.guest.scoring.tally import NodeTally, Tally

# Two forms gave the same tree of a request type when no node's share differs by more than this.
SAME_SHARE: Final = 0.005
UNKNOWN: Final = "nobody wrote down what this form gives on this service; coverage tells what came"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeScore:
    """One reference node of one request type, summed over a form's valid cells. Counts are spans."""

    request: str
    node: str
    kind: str  # "grpc server"
    match: str
    reference: int
    received: int
    expected: int
    conforming: int  # received, as far as the form's expectation foresees them
    parents_right: int
    parents_conforming: int
    rootless: int
    mode: str
    cause: str
    calls_to_first_loss: int | None


def score(tallies: Iterable[Tally]) -> tuple[NodeScore, ...]:
    """Sum the cells' tallies into one row per request type and node, in the reference's order."""
    found: dict[tuple[str, str], NodeScore] = {}
    for tally in tallies:
        for node in tally.nodes:
            key = (node.type, node.node)
            found[key] = _plus(found.get(key), _one(node))
    return tuple(found.values())


def _one(node: NodeTally) -> NodeScore:
    return NodeScore(
        request=node.type,
        node=node.node,
        kind=f"{node.family} {node.kind}",
        match=node.match,
        reference=_clamp(node.received, node.reference_min, node.reference_max),
        received=node.received,
        expected=_clamp(node.received, node.expected_min, node.expected_max),
        conforming=min(node.received, node.expected_max),
        parents_right=node.parents_ok,
        parents_conforming=node.parents_as_expected,
        rootless=node.rootless,
        mode=node.mode,
        cause=node.cause,
        calls_to_first_loss=node.calls_to_first_loss,
    )


def _plus(one: NodeScore | None, other: NodeScore) -> NodeScore:
    if one is None:
        return other
    losses = [n for n in (one.calls_to_first_loss, other.calls_to_first_loss) if n is not None]
    return NodeScore(
        request=one.request,
        node=one.node,
        kind=one.kind,
        match=one.match,
        reference=one.reference + other.reference,
        received=one.received + other.received,
        expected=one.expected + other.expected,
        conforming=one.conforming + other.conforming,
        parents_right=one.parents_right + other.parents_right,
        parents_conforming=one.parents_conforming + other.parents_conforming,
        rootless=one.rootless + other.rootless,
        mode=one.mode,
        cause=one.cause or other.cause,
        calls_to_first_loss=min(losses, default=None),
    )


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def coverage(rows: Sequence[NodeScore], why_not: str) -> dict[str, Any]:
    """forms.NAME.coverage of summary.json. why_not: why nothing was counted; "" when it was."""
    if why_not:
        absent = dict.fromkeys(("reference", "received", "ratio", "parents_ok"))
        return {**absent, "by_type": {}, "misplaced": [], "not_counted": why_not}
    by_type: dict[str, list[NodeScore]] = defaultdict(list)
    for row in rows:
        by_type[row.request].append(row)
    return {
        **_cover(rows),
        "by_type": {request: _cover(part) for request, part in by_type.items()},
        "misplaced": misplaced(rows),
        "not_counted": "",
    }


def _cover(rows: Sequence[NodeScore]) -> dict[str, Any]:
    reference = sum(row.reference for row in rows)
    received = sum(min(row.received, row.reference) for row in rows)
    return {
        "reference": reference,
        "received": received,
        "ratio": _ratio(received, reference),
        "parents_ok": _ratio(sum(row.parents_right for row in rows), sum(row.received for row in rows)),
    }


def conformance(rows: Sequence[NodeScore], tallies: Sequence[Tally], why_not: str, *, known: bool) -> dict[str, Any]:
    """forms.NAME.conformance of summary.json: expected, received, missing[], and what came beyond the reference.

    why_not: why nothing was counted; known: whether anybody wrote down what the form gives on this service.
    """
    expected = sum(row.expected for row in rows)
    reason = why_not or ("" if known else UNKNOWN) or ("" if expected else "no span is expected of this form here")
    received = sum(min(row.conforming, row.expected) for row in rows)
    parents = _ratio(sum(row.parents_conforming for row in rows), sum(row.received for row in rows))
    return {
        "expected": None if why_not or not known else expected,
        "received": None if why_not or not known else received,
        "ratio": None if reason else _ratio(received, expected),
        "parents_ok": None if reason else parents,
        "missing": missing(rows, known=known),
        "surplus": sum(max(0, row.received - row.conforming) for row in rows),
        "extra": _counted(tally.known_extra for tally in tallies),
        "unexpected": _counted(tally.extra for tally in tallies),
        "orphans": None if why_not else sum(sum(tally.orphans.values()) for tally in tallies),
        "not_counted": reason,
    }


def missing(rows: Sequence[NodeScore], *, known: bool = True) -> list[dict[str, Any]]:
    """Reference spans that did not come, by kind and cause; `known` tells the form's expectation from a surprise."""
    found: dict[tuple[str, str, bool], dict[str, Any]] = {}
    for row in rows:
        surprise = row.expected - min(row.conforming, row.expected)
        foreseen = row.reference - min(row.received, row.reference) - surprise
        for count, told in ((foreseen, True), (surprise, False)):
            if count <= 0:
                continue
            surprising = "not expected to be missing" if known else "unknown"
            cause = (row.cause or "unknown") if told else surprising
            entry = found.setdefault(
                (row.kind, cause, told),
                {"kind": row.kind, "count": 0, "of": 0, "cause": cause, "known": told, "nodes": []},
            )
            entry["count"] += count
            entry["of"] += row.reference
            entry["nodes"].append(f"{row.request}: {row.match}")
    return sorted(found.values(), key=lambda entry: (entry["known"], -entry["count"]))


def misplaced(rows: Sequence[NodeScore]) -> list[dict[str, Any]]:
    """Reference spans that came and hang elsewhere, by kind; `roots`: how many of them are traces of their own."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        count = row.received - row.parents_right
        if count <= 0:
            continue
        # what an expectation does not foresee has no cause that anybody knows
        cause = row.cause if row.cause and row.parents_conforming == row.received else "unknown"
        empty = {"kind": row.kind, "count": 0, "of": 0, "roots": 0, "cause": cause, "nodes": []}
        entry = found.setdefault((row.kind, cause), empty)
        entry["count"] += count
        entry["of"] += row.received
        entry["roots"] += row.rootless
        entry["nodes"].append(f"{row.request}: {row.match}")
    return sorted(found.values(), key=lambda entry: -entry["count"])


def nodes(rows: Sequence[NodeScore]) -> list[dict[str, Any]]:
    """forms.NAME.nodes of summary.json: the table behind both scores."""
    return [
        {
            "request": row.request,
            "node": row.node,
            "kind": row.kind,
            "match": row.match,
            "reference": row.reference,
            "received": row.received,
            "expected": row.expected,
            "parents_right": row.parents_right,
            "roots": row.rootless,
            "mode": row.mode,
            "cause": row.cause,
            "calls_to_first_loss": row.calls_to_first_loss,
        }
        for row in rows
    ]


def _counted(parts: Iterable[dict[str, int]]) -> list[dict[str, Any]]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return [{"span": span, "count": count} for span, count in total.most_common()]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def unequal_types(one: Sequence[NodeScore], other: Sequence[NodeScore]) -> dict[str, str]:
    """Request type -> the first difference between what two forms delivered. Types not in the result are equal."""
    twins = {(row.request, row.node): row for row in other}
    found: dict[str, str] = {}
    for row in one:
        twin = twins.get((row.request, row.node))
        if row.request in found:
            continue
        if twin is None:
            found[row.request] = "requests of this type were measured in one of them only"
            continue
        for what, a, b in (
            ("", _share(row.received, row), _share(twin.received, twin)),
            ("right parents of ", _share(row.parents_right, row), _share(twin.parents_right, twin)),
        ):
            if abs(a - b) > SAME_SHARE:
                found[row.request] = f"{what}{row.kind} {row.match} {a:.0%} against {b:.0%}"
                break
    return found


def _share(count: int, row: NodeScore) -> float:
    return count / row.reference if row.reference else 0.0
