"""Match fragments of spans with requests. Pure.

Traces carry no request id (nothing is injected into the service), so a fragment belongs to a request that was in
progress when it began, of the type whose reference it fits best. Many may be in progress at once: fragments are placed
one by one, and one whose places are all taken moves others, so that as many as possible are placed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.guest.scoring.signature import NO, fits
from lab.guest.scoring.trees import Fragment, TypeTree, assign, starts_fragment
from lab.guest.wire import SpanNode

SLACK_NS = 2_000_000  # two clocks of one machine, read one after the other, may differ by this much
TRANSPORT_ERROR = 0
LAG_MAX_NS = 200_000_000
ROOTS_MIN = 10
IN_TIME = 0.8  # share of a life's roots that begin within a request when its clock is right; others are warm-up or lost
MOVES_MAX = 300  # fragments that may move to place one more; each is a level of recursion


@dataclass(frozen=True)
class Row:
    """One measured request of requests.csv.gz. status 0: transport error, -1: timeout."""

    type: str
    start_ns: int
    end_ns: int
    status: int
    intended_ns: int = 0
    request_id: str = ""


@dataclass(eq=False)
class Slot:
    """One request and its fragments; seats: node id -> fragments that begin there."""

    row: Row
    seats: dict[str, list[Fragment]] = field(default_factory=dict)
    rest: list[Fragment] = field(default_factory=list)  # of the same trace, below a span that was not received

    @property
    def parts(self) -> list[Fragment]:
        return [part for seated in self.seats.values() for part in seated] + self.rest


def match(
    parts: Sequence[Fragment], rows: Sequence[Row], trees: dict[str, TypeTree]
) -> tuple[list[Slot], list[Fragment]]:
    """Slots in order of request start, and the fragments that fit none."""
    matcher = _Matcher([Slot(row=row) for row in sorted(rows, key=lambda r: r.start_ns)], trees)
    waiting = [part for part in parts if part.lost or not matcher.place(part, root=True)]
    by_trace = {part.trace_id: slot for slot in matcher.slots for part in slot.parts}
    loose = []
    for part in sorted(waiting, key=lambda p: p.lost):  # stable: orphans last, when the gaps they fit are known
        slot = by_trace.get(part.trace_id)
        if slot is not None:
            slot.rest.append(part)
        elif not matcher.place(part, root=False):
            loose.append(part)
    return matcher.slots, loose


def lag_ns(parts: Sequence[Fragment], rows: Sequence[Row], trees: dict[str, TypeTree]) -> int:
    """How much too early the clock of this life's spans is; nearly always 0.

    An eBPF agent adds to the kernel's clock an offset that it measures once, as the smallest of several readings of
    both clocks: an interruption makes all its spans too early, by milliseconds on a busy machine. Roots then begin
    before their requests. The smallest shift with which most begin within a request of their type corrects it.
    """
    starts: dict[str, list[int]] = {}
    spans: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda r: r.start_ns):
        starts.setdefault(row.type, []).append(row.start_ns)
        spans.setdefault(row.type, []).append(row)
    first = min((row.start_ns for row in rows), default=0)
    roots = [
        (part.start_ns, types)
        for part in parts
        if not part.lost and part.start_ns >= first - LAG_MAX_NS
        for types in [[t for t in starts if t in trees and entries(part, trees[t], root=True)]]
        if types
    ]

    def share(shift: int) -> float:
        fits_now = [any(_under_way(at + shift, starts[t], spans[t]) for t in types) for at, types in roots]
        return sum(fits_now) / len(fits_now)

    if len(roots) < ROOTS_MIN or share(0) >= IN_TIME:
        return 0
    best, shift = max((share(shift), -shift) for shift in range(0, LAG_MAX_NS + 1, SLACK_NS))
    return -shift if best >= IN_TIME else 0


def _under_way(at: int, starts: list[int], rows: list[Row]) -> bool:
    """Whether the last request that began by then was still in progress."""
    index = bisect_right(starts, at + SLACK_NS) - 1
    return index >= 0 and at <= rows[index].end_ns + SLACK_NS


class _Matcher:
    """All requests of a cell, with the fragments placed so far."""

    def __init__(self, slots: list[Slot], trees: dict[str, TypeTree]) -> None:
        self.slots = slots
        self.trees = trees
        self.starts = [slot.row.start_ns for slot in slots]
        self.longest_ns = max((s.row.end_ns - s.row.start_ns for s in slots), default=0) + SLACK_NS
        self.known: dict[tuple[Fragment, bool], list[tuple[Slot, SpanNode]]] = {}

    def place(self, part: Fragment, *, root: bool) -> bool:
        """Place one fragment; others may move."""
        return self._place(part, set(), root=root)

    def _place(self, part: Fragment, asked: set[tuple[int, str]], *, root: bool) -> bool:
        if (part, root) not in self.known:
            self.known[part, root] = self._places(part, root=root)
        places = self.known[part, root]
        for slot, node in places:
            seated = slot.seats.setdefault(node.id, [])
            if len(seated) < node.count_max:
                seated.append(part)
                return True
        for slot, node in places:
            key = (id(slot), node.id)
            if key in asked or len(asked) >= MOVES_MAX:
                continue
            asked.add(key)
            seated = slot.seats[node.id]
            for other in seated:
                if self._place(other, asked, root=root):
                    seated[seated.index(other)] = part
                    return True
        return False

    def _places(self, part: Fragment, *, root: bool) -> list[tuple[Slot, SpanNode]]:
        """Requests in progress when the fragment began, and the node where it fits, best first."""
        found: list[tuple[tuple[int, int], Slot, SpanNode]] = []
        scores: dict[str, int] = {}
        nodes: dict[str, list[SpanNode]] = {}
        index = bisect_right(self.starts, part.start_ns + SLACK_NS) - 1
        while index >= 0 and self.starts[index] >= part.start_ns - self.longest_ns:
            slot = self.slots[index]
            index -= 1
            tree = self.trees.get(slot.row.type)
            if tree is None or slot.row.end_ns + SLACK_NS < part.start_ns:
                continue
            if tree.type not in nodes:
                nodes[tree.type] = entries(part, tree, root=root)
            for node in nodes[tree.type]:
                # a hop whose parent was lost starts a trace of its own: not where the node was received already
                if not root and _covered(slot, tree, node):
                    continue
                if tree.type not in scores:
                    scores[tree.type] = assign((part,), tree).score
                # a root begins right after its request; others go to the request that ends first
                rank = slot.row.start_ns if root else -slot.row.end_ns
                found.append(((scores[tree.type], rank), slot, node))
        found.sort(key=lambda item: item[0], reverse=True)
        return [(slot, node) for _, slot, node in found]


def _covered(slot: Slot, tree: TypeTree, node: SpanNode) -> bool:
    """Whether the fragments of this request already have the node as often as allowed."""
    return list(assign(slot.parts, tree).node_of.values()).count(node.id) >= node.count_max


def entries(part: Fragment, tree: TypeTree, *, root: bool) -> list[SpanNode]:
    """Nodes that this fragment's top may be: the tree's root, or one where a trace of this form begins."""
    sig = part.signatures[0]
    found = []
    for node in tree.nodes.values():
        if (not tree.above[node.id]) != root:
            continue
        if not root and not part.lost and not starts_fragment(tree, node.id):
            continue
        if fits(sig, node.kind, node.family, node.match) != NO:
            found.append(node)
    return found


def is_warm_up(part: Fragment, window_start_ns: int, tail_ns: int, trees: dict[str, TypeTree]) -> bool:
    """Began before the window, or fits the reference and began while warm-up requests may still be in progress."""
    if part.start_ns < window_start_ns or part.start_ns >= tail_ns:
        return part.start_ns < window_start_ns
    nodes = [node for tree in trees.values() for node in tree.nodes.values()]
    return any(fits(part.signatures[0], node.kind, node.family, node.match) != NO for node in nodes)
