from __future__ import annotations

from collections.abc import Sequence

from lab.guest.scoring.proof import Sent, differences, judge_none, judge_some, read_canaries, required
from lab.guest.scoring.trees import assign, fragments, type_trees
from lab.guest.wire import CanaryRequest, Expectation, ExtraSpan, FormExpectation, Span
from tests.unit.guest.spans import REFERENCE, http, recorded, span

FULL = FormExpectation()
LOCKDOWN = FormExpectation(
    requests={
        "browse": (Expectation(node="catalog", parent="root"),),
        "checkout": (
            Expectation(node="catalog", parent="root"),
            *(Expectation(node=n, mode="none") for n in ("call-quote", "quote", "call-place", "place", "insert-order")),
        ),
    }
)


def judged(form: str, kind: str, expected: FormExpectation) -> CanaryRequest:
    told = recorded(form)[kind]
    sent = Sent(kind, told.request_id, told.status, told.start_ns, told.end_ns)
    return read_canaries(told.spans, [sent], type_trees(REFERENCE, expected), expected)[0][0]


def test_recorded_woven_checkout_is_whole_and_its_transaction_steps_are_extra() -> None:
    found = judged("orchestrion-otel", "checkout", FULL)
    assert found.seen == {node.id: 1 for node in REFERENCE["checkout"]}
    assert (found.missing, found.wrong_parent, found.unexpected) == ((), (), 2)
    known = FormExpectation(extra=tuple(ExtraSpan("checkout", "sql", "client", m) for m in ("BEGIN", "COMMIT")))
    assert judged("orchestrion-otel", "checkout", known).unexpected == 0


def test_recorded_agent_spans_under_lockdown_are_right_only_for_that_expectation() -> None:
    found = judged("ebpf-lockdown", "browse", LOCKDOWN)
    assert judge_some([found], LOCKDOWN) == ""
    against_reference = judged("ebpf-lockdown", "browse", FULL)
    assert judge_some([against_reference], FULL) == "browse: wrong parent of catalog"
    checkout = judged("ebpf-lockdown", "checkout", FULL)
    assert set(checkout.missing) == {"call-quote", "quote", "call-place", "place", "insert-order"}


def test_a_lost_span_makes_its_child_an_orphan() -> None:
    tree = type_trees(REFERENCE, FULL)["browse"]
    spans = [http("a", "server", "GET /events"), http("c", "server", "GET /catalog/events", parent="b")]
    parts = fragments(spans)
    assert [p.lost for p in parts] == [False, True]
    result = assign(parts, tree)
    assert result.node_of == {"a": "gateway", "c": "catalog"}
    assert result.parent_ok == {"a": True, "c": False}


def test_nearest_received_ancestor_counts_where_the_parent_is_not_expected() -> None:
    rules = FormExpectation(requests={"browse": (Expectation(node="call-catalog", mode="none"),)})
    spans = [http("a", "server", "GET /events"), http("c", "server", "GET /catalog/events", parent="a")]
    loose = assign(fragments(spans), type_trees(REFERENCE, rules)["browse"])
    assert loose.as_expected == {"a": True, "c": True}
    strict = assign(fragments(spans), type_trees(REFERENCE, FULL)["browse"])
    assert strict.as_expected == {"a": True, "c": False}


def test_spans_in_between_that_no_node_knows_are_seen_through() -> None:
    spans = [
        http("a", "server", "GET /events"),
        http("x", "internal", "GET /whatever", parent="a"),
        http("b", "client", "GET /catalog/events", parent="x"),
    ]
    result = assign(fragments(spans), type_trees(REFERENCE, FULL)["browse"])
    assert result.node_of == {"a": "gateway", "b": "call-catalog"}
    assert result.parent_ok["b"]
    assert [s.span_id for s in result.extra] == ["x"]


def test_what_a_canary_must_give() -> None:
    rules = (
        Expectation(node="gateway", mode="first", first=3),
        Expectation(node="catalog", mode="range", min_ratio=0.5),
        Expectation(node="select-page", mode="none"),
    )
    tree = type_trees(REFERENCE, FormExpectation(requests={"browse": rules}))["browse"]
    assert required(tree) == {"gateway": 1, "call-catalog": 1}
    assert judge_none([]) == ""


def test_a_service_that_makes_spans_itself_is_told_by_their_names() -> None:
    own = {"scope": "example.org/own"}
    spans = [http(ident, "server", "GET /events", **own) for ident in ("a", "b")]
    spans.append(span("query", "client", attributes={"db.query.text": "SELECT 1"}, **own))
    assert judge_none(spans) == (
        "3 spans arrived from a form without instrumentation: the service creates them "
        "(1 x client sql SELECT by example.org/own, 2 x server http GET /events by example.org/own)"
    )


def test_no_context_one_span_is_proof_enough_where_nothing_is_known_and_its_gaps_are_told() -> None:
    """Every span a root of its own, and one that never comes."""
    old = recorded("ebpf-lockdown")["checkout"]
    sent = [Sent("checkout", old.request_id, old.status, old.start_ns, old.end_ns)]

    def proven(spans: Sequence[Span], *, known: bool) -> tuple[str, str]:
        expected = FormExpectation(known=known)
        requests, _ = read_canaries(spans, sent, type_trees(REFERENCE, expected), expected)
        return judge_some(requests, expected), differences(requests)

    reason, gaps = proven(old.spans, known=False)
    assert reason == ""
    assert "checkout: no span for call-place, call-quote, insert-order, place, quote" in gaps
    assert "wrong parent of catalog" in gaps
    assert proven(old.spans, known=True)[0] == gaps
    assert proven([], known=False)[0] == "no span arrived for any of 1 requests (checkout)"


def test_a_parent_that_may_be_wrong_is_as_expected_and_still_told() -> None:
    """An agent that takes another open call for the parent does what is known of it, and has a wrong parent."""
    spans = [
        http("a", "server", "GET /events"),
        http("c", "server", "GET /catalog/events", parent="a"),
        http("b", "client", "GET /catalog/events", parent="c"),
    ]
    rules = FormExpectation(requests={"browse": (Expectation(node="call-catalog", parent="may-be-wrong"),)})
    for expected, verdict in ((rules, True), (FULL, False)):
        seen = assign(fragments(spans), type_trees(REFERENCE, expected)["browse"])
        assert seen.node_of["b"] == "call-catalog"
        assert seen.parent_ok["b"] is False
        assert seen.as_expected["b"] is verdict
