from __future__ import annotations

from lab.guest.scoring.matching import Row
from lab.guest.scoring.tally import Tally, tally
from lab.guest.wire import Expectation, ExtraSpan, FormExpectation, Span, SpanNode
from tests.unit.guest.spans import http

MS = 1_000_000
START = 1000 * MS
TREE: dict[str, tuple[SpanNode, ...]] = {
    "list": (
        SpanNode(id="root", kind="server", family="http", match="GET /list"),
        SpanNode(id="call", parent="root", kind="client", family="http", match="GET /inner"),
        SpanNode(id="inner", parent="call", kind="server", family="http", match="GET /inner"),
    )
}
SPLIT = FormExpectation(requests={"list": (Expectation(node="inner", parent="root", cause="no propagation"),)})


def row(number: int, begin_ms: int, end_ms: int, status: int = 200) -> Row:
    return Row("list", START + begin_ms * MS, START + end_ms * MS, status, request_id=str(number))


def tree(
    trace: str, begin_ms: int, *, split: bool = False, only: tuple[str, ...] = ("root", "call", "inner")
) -> list[Span]:
    at = START + begin_ms * MS
    kinds = {
        "root": ("server", "GET /list", ""),
        "call": ("client", "GET /inner", "root"),
        "inner": ("server", "GET /inner", "call"),
    }
    spans = []
    for step, name in enumerate(only):
        kind, target, parent = kinds[name]
        alone = split and name == "inner"
        trace_id = trace + "-inner" if alone else trace
        parent_id = "" if alone or not parent else f"{trace}.{parent}"
        spans.append(http(f"{trace}.{name}", kind, target, parent_id, trace_id=trace_id, start_ns=at + step * MS))
    return spans


def count(spans: list[Span], rows: list[Row], expected: FormExpectation | None = None, **more: object) -> Tally:
    prior = more.get("prior")
    assert prior is None or isinstance(prior, dict)
    return tally(spans, rows, TREE, expected or FormExpectation(), window_start_ns=START, prior=prior)


def test_overlapping_requests_of_split_traces_all_find_their_place() -> None:
    # the second begins inside the first and ends before it: a greedy choice loses one of them
    rows = [row(1, 0, 20), row(2, 3, 9), row(3, 4, 30)]
    spans = [s for i, at in enumerate((1, 4, 5)) for s in tree(f"t{i}", at, split=True)]
    found = count(spans, rows, SPLIT)
    assert [(n.node, n.received, n.parents_as_expected) for n in found.nodes] == [
        ("root", 3, 3),
        ("call", 3, 3),
        ("inner", 3, 3),
    ]
    assert [n.parents_ok for n in found.nodes] == [3, 3, 0]
    assert (found.extra, found.orphans, found.missing) == ({}, {}, ())


def test_warm_up_falls_out_and_its_tail_is_no_extra() -> None:
    spans = tree("warm", -50) + tree("tail", 1) + tree("t", 12)
    found = count(spans, [row(1, 11, 20)])
    assert [n.received for n in found.nodes] == [1, 1, 1]
    assert found.outside == 6
    assert found.extra == {}


def test_missing_spans_have_kind_count_and_cause() -> None:
    rows = [row(i, i * 10, i * 10 + 9) for i in range(4)]
    spans = [s for i in range(4) for s in tree(f"t{i}", i * 10 + 1, only=("root",) if i == 3 else ("root", "call"))]
    rules = FormExpectation(requests={"list": (Expectation(node="inner", mode="none", cause="not seen by probes"),)})
    found = count(spans, rows, rules)
    assert [(m.label, m.count, m.known, m.cause) for m in found.missing] == [
        ("client http", 1, False, "not expected of this form"),
        ("server http", 4, True, "not seen by probes"),
    ]
    assert [n.calls_to_first_loss for n in found.nodes] == [None, 4, 1]


def test_first_n_counts_what_the_life_has_used_up() -> None:
    rules = FormExpectation(requests={"list": (Expectation(node="inner", mode="first", first=5, cause="full map"),)})
    rows = [row(i, 100 + i * 10, 109 + i * 10) for i in range(4)]
    warm = [s for i in range(2) for s in tree(f"w{i}", -80 + i * 10)]
    spans = warm + [
        s
        for i in range(4)
        for s in tree(f"t{i}", 101 + i * 10, only=("root", "call", "inner") if i < 2 else ("root", "call"))
    ]
    found = count(spans, rows, rules, prior={"inner": 1})
    inner = found.nodes[2]
    assert (inner.expected_min, inner.expected_max, inner.received) == (2, 2, 2)
    assert inner.calls_to_first_loss == 3
    assert found.calls["inner"] == 1 + 2 + 4
    later = count([], rows, rules, prior=found.calls).nodes[2]
    assert (later.expected_min, later.expected_max) == (0, 0), "the next cell of this life has none of them left"


def test_extras_known_and_unknown_and_orphans() -> None:
    known = FormExpectation(extra=(ExtraSpan("list", "http", "client", "GET /known"),))
    spans = [
        *tree("t", 1),
        http("k", "client", "GET /known", "t.root", trace_id="t", start_ns=START + 2 * MS),
        http("u", "client", "GET /unknown", "t.root", trace_id="t", start_ns=START + 3 * MS),
        http("o", "server", "GET /other", "gone", trace_id="z", start_ns=START + 4 * MS),
    ]
    found = count(spans, [row(1, 0, 9)], known)
    assert found.known_extra == {"client http GET /known": 1}
    assert found.extra == {"client http GET /unknown": 1, "server http GET /other": 1}
    assert found.orphans == {"server http": 1}
    assert found.beyond == {"list": 2, "*": 1}, "known ones too"


def test_requests_that_never_arrived_are_not_waited_for() -> None:
    found = count(tree("t", 1), [row(1, 0, 9), row(2, 20, 21, status=0)])
    assert found.requests == {"list": 1}
    assert [n.reference_min for n in found.nodes] == [1, 1, 1]


def test_an_orphan_goes_to_the_request_that_lacks_it() -> None:
    # both requests are under way; the second one's middle span is lost, so its child hangs on nothing
    lost = [
        http("b.inner", "server", "GET /inner", "gone", trace_id="b-other", start_ns=START + 6 * MS),
    ]
    spans = tree("a", 1) + tree("b", 2, only=("root", "call")) + lost
    found = count(spans, [row(1, 0, 9), row(2, 1, 20)])
    assert [n.received for n in found.nodes] == [2, 2, 2]
    assert found.nodes[2].parents_ok == 1
    assert (found.extra, found.orphans) == ({}, {"server http": 1})


def test_spans_of_a_clock_that_runs_early_find_their_requests() -> None:
    # 30 requests of 8 ms, 40 ms apart; the agent's clock was read with an interruption of 6 ms
    rows = [row(i, i * 40, i * 40 + 8) for i in range(30)]
    warm = tree("warm", -40)
    right = count([*warm, *(s for i in range(30) for s in tree(f"t{i}", i * 40 + 1))], rows)
    early = count([*tree("warm", -46), *(s for i in range(30) for s in tree(f"t{i}", i * 40 - 5))], rows)
    assert (right.lag_ns, early.lag_ns) == (0, 4 * MS)
    assert right.nodes == early.nodes
    assert [n.received for n in early.nodes] == [30, 30, 30]
    assert (early.extra, early.outside) == ({}, 3)


def test_a_right_clock_is_left_alone_whatever_else_came() -> None:
    rows = [row(i, i * 40, i * 40 + 8) for i in range(30)]
    spans = [s for i in range(30) for s in tree(f"t{i}", i * 40 + 1)]
    noise = [s for i in range(6) for s in tree(f"n{i}", i * 40 - 5)]
    assert count(spans + noise, rows).lag_ns == 0
    assert count(noise[:3], rows[:1] + rows[20:]).lag_ns == 0
