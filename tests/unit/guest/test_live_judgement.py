"""What the end of one live request says of its spans."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

import pytest

from lab.guest.live.request import LiveRequest, SentRequest
from lab.guest.scoring.trees import type_trees
from lab.guest.wire import FormExpectation, Span, SpanNode
from lab.guest.wire.live import RequestEnded
from tests.unit.guest.spans import REFERENCE, http, span

SEARCH = (
    SpanNode(id="gateway", kind="server", family="http", match="GET /search"),
    SpanNode(id="catalog", parent="gateway", kind="server", family="http", match="GET /catalog/search"),
    SpanNode(id="select", parent="catalog", kind="client", family="sql", match="SELECT", count_min=11, count_max=11),
)
TOP = [http("a", "server", "GET /search"), http("c", "server", "GET /catalog/search", parent="a")]


def statements(parent: str) -> list[Span]:
    attributes = {"db.query.text": "SELECT 1"}
    return [span("query", "client", ident=f"s{n}", parent=parent, attributes=attributes) for n in range(11)]


def ended(kind: str, spans: list[Span], *, known: bool = True, proof: Literal["some", "none"] = "some") -> RequestEnded:
    expected = FormExpectation(known=known)
    tree = type_trees({**REFERENCE, "search": SEARCH}, expected)[kind]
    running: Any = SimpleNamespace(id="ebpf", form=SimpleNamespace(proof=proof, expected=expected))
    context: Any = SimpleNamespace()
    orders: Any = SimpleNamespace()
    order: Any = SimpleNamespace(id="1", request=kind)
    found: list[RequestEnded] = []
    LiveRequest(context, orders, order, found.append)._end(SentRequest(running, tree, spans=spans), "")
    return found[0]


@pytest.mark.parametrize(
    ("kind", "spans", "misplaced"),
    [
        ("search", [*TOP, *statements("c")], 0),
        ("search", [*TOP, *statements("a")], 11),
        ("search", [*TOP, *statements("lost")], 11),
        ("search", [*TOP, *statements("lost"), *statements("lost")], 11),
        ("browse", [http("a", "server", "GET /events"), http("c", "server", "GET /catalog/events", parent="b")], 1),
        ("browse", [http("a", "server", "GET /events"), http("x", "server", "GET /other", parent="b")], 1),
    ],
    ids=["whole", "below another", "orphans", "sent twice", "one orphan", "an orphan that is no node"],
)
def test_each_span_that_is_not_below_its_parent_counts_once(kind: str, spans: list[Span], misplaced: int) -> None:
    assert ended(kind, spans).misplaced == misplaced


def test_an_instrumented_form_of_which_nothing_is_known_is_told_from_a_silent_one() -> None:
    one = [http("a", "server", "GET /events")]
    unknown = ended("browse", one, known=False)
    assert (unknown.expected, unknown.seen, unknown.instrumented) == (0, 1, True)
    assert ended("browse", one).instrumented
    assert not ended("browse", [], proof="none").instrumented
