"""Two forms are ranked only over request types of which both sent the same spans, further ones included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.guest.scoring.tally import NodeTally, Tally
from lab.guest.wire import Span
from lab.model.run import Run, RunCell
from lab.model.summary import Summary, Verdict
from lab.runs.read import read
from lab.verdict import summarize
from lab.verdict.cells.completeness import unequal_types
from tests.unit.report import synthetic
from tests.unit.report.synthetic_plan import MIX
from tests.unit.verdict.test_summary import row

ALIKE = {
    **synthetic.FORMS,
    "ebpf": replace(synthetic.FORMS["orchestrion-otel"], mechanism="run-time", cpu=1.6),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Both instrumented forms give every span of the reference and nothing else."""
    return read(synthetic.write(tmp_path_factory.mktemp("run") / "run", requests=60, forms=ALIKE))


def pair(summary: Summary, metric: str = "cpu_s_per_1k_requests") -> Verdict:
    return row(summary, "ebpf", "orchestrion-otel", metric)


def sending(run: Run, change: Callable[[list[Span]], list[Span]], *forms: str) -> Summary:
    """The run with the spans of these forms changed."""

    return summarize(replace(run, cells=tuple(sent(c, change) if c.cell.form in forms else c for c in run.cells)))


def sent(one: RunCell, change: Callable[[list[Span]], list[Span]]) -> RunCell:
    spans = change(list(one.spans()))
    return replace(one, cell=replace(one.cell, spans_total=len(spans)), spans=lambda: iter(spans))


def twice(spans: list[Span]) -> list[Span]:
    """Each span has itself as a child: a second tracer beside the first."""
    return spans + [replace(s, span_id=f"{int(s.span_id, 16) ^ 1:016x}", parent_id=s.span_id) for s in spans]


def more(spans: list[Span]) -> list[Span]:
    """One more span in each checkout, such as for a message."""
    return spans + [
        replace(s, span_id=f"{int(s.span_id, 16) ^ 1:016x}", parent_id=s.span_id, kind="internal")
        for s in spans
        if "Orders/Place" in s.name and s.kind == "server"
    ]


def strays(spans: list[Span]) -> list[Span]:
    """Traces that fit no request, as a job in the background makes them."""
    return spans + [
        replace(s, trace_id=s.span_id * 2, parent_id="", name="job", attributes={"db.system": "sqlite"})
        for s in spans[:3]
    ]


def test_equal_trees_are_ranked(run: Run) -> None:
    assert pair(summarize(run)).word == "INDICATIVE"
    assert pair(summarize(run)).unequal == {}


def test_a_form_that_sends_every_span_twice_is_not_ranked(run: Run) -> None:
    found = pair(sending(run, twice, "ebpf"))
    assert found.word == "NOT COMPARABLE"
    assert set(found.unequal) == {kind for kind, _, _ in MIX}
    assert "spans beyond the reference per request" in found.reasons[0]


def test_spans_beyond_the_reference_make_their_own_type_unequal(run: Run) -> None:
    found = pair(sending(run, more, "ebpf"), "latency_p50_ms")
    assert found.unequal == {"checkout": "0 against 1 spans beyond the reference per request"}
    assert "checkout" not in found.types
    assert pair(sending(run, more, "ebpf")).word == "NOT COMPARABLE"


def test_spans_of_no_request_make_every_type_unequal(run: Run) -> None:
    found = pair(sending(run, strays, "ebpf"))
    assert found.word == "NOT COMPARABLE"
    assert set(found.unequal) == {kind for kind, _, _ in MIX}
    assert "spans of no request per request" in found.reasons[0]


@pytest.mark.parametrize("change", [twice, more, strays])
def test_forms_that_both_send_them_are_ranked(run: Run, change: Callable[[list[Span]], list[Span]]) -> None:
    assert pair(sending(run, change, "ebpf", "orchestrion-otel")).word == "INDICATIVE"


LEVELS = {1: "low", 2: "low", 3: "middle", 4: "middle", 5: "high", 6: "high"}
RATES = {"low": 2.0, "middle": 4.0, "high": 6.0}


def at_levels(run: Run) -> Run:
    """Two blocks of three levels in place of six blocks of one."""
    cells = tuple(
        replace(c, cell=replace(c.cell, level=LEVELS[c.cell.block], block=(c.cell.block + 1) % 2 + 1))
        for c in run.cells
    )
    lives = tuple(
        replace(
            life,
            block=(life.block + 1) % 2 + 1,
            cells=tuple(replace(c, level=(level := LEVELS[life.block]), rate_rps=RATES[level]) for c in life.cells),
        )
        for life in run.plan.lives
    )
    return replace(run, cells=cells, plan=replace(run.plan, lives=lives))


def losing(each: int) -> Callable[[list[Span]], list[Span]]:
    """Every so many spans of a client are lost."""
    return lambda spans: [s for at, s in enumerate(spans) if s.kind != "client" or at % each]


def one_less(spans: list[Span]) -> list[Span]:
    first = next(s for s in spans if s.kind == "client" and "catalog/events" in s.name)
    return [s for s in spans if s is not first]


def once(change: Callable[[list[Span]], list[Span]]) -> Callable[[list[Span]], list[Span]]:
    """The first cell alone."""
    left = [change]
    return lambda spans: left.pop()(spans) if left else spans


def test_spans_are_compared_at_the_level_of_the_figure(tmp_path: Path) -> None:
    """A form that loses spans at one load is ranked at the others, and is not excused there by those."""
    whole = at_levels(read(synthetic.write(tmp_path / "run", blocks=6, requests=60, forms=ALIKE)))

    def words(level: str, change: Callable[[list[Span]], list[Span]]) -> dict[str, Verdict]:
        cells = tuple(sent(c, change) if (c.cell.form, c.cell.level) == ("ebpf", level) else c for c in whole.cells)
        of = summarize(replace(whole, cells=cells)).verdicts
        pairs = [r for r in of if (r.form, r.against) == ("ebpf", "orchestrion-otel")]
        return {r.level: r for r in pairs if r.metric == "cpu_s_per_1k_requests" or r.level == "all"}

    found = words("high", losing(20))
    assert {level: one.word for level, one in found.items()} == {
        "low": "INDICATIVE",
        "middle": "INDICATIVE",
        "high": "NOT COMPARABLE",
        "all": "NOT COMPARABLE",
    }
    assert found["low"].unequal == {}

    # one of 74 requests of its type at this level, and of 208 at all
    diluted = words("middle", once(one_less))
    assert {level: one.word for level, one in diluted.items()} == {
        "low": "INDICATIVE",
        "middle": "NOT COMPARABLE",
        "high": "INDICATIVE",
        "all": "INDICATIVE",
    }


def test_latency_that_too_few_types_are_left_for_names_them(run: Run) -> None:
    """Sixty requests, but few of the one type whose spans are equal."""

    def all_but_checkout(spans: list[Span]) -> list[Span]:
        own = {s.trace_id for s in spans if "checkout" in s.name}
        return [s for s in spans if s.trace_id in own or s.kind != "client"]

    found = pair(sending(run, all_but_checkout, "ebpf"), "latency_p90_ms")
    assert found.unequal
    assert "checkout" not in found.unequal
    assert found.word == "CAN'T TELL"
    assert found.reasons[0] == (
        "too few answers: a cell needs 20 of one request type, and only checkout and fail count,"
        " since the spans of the other types differ"
    )


def test_the_baseline_is_compared_whatever_a_form_sends(run: Run) -> None:
    assert row(sending(run, twice, "ebpf"), "ebpf", "baseline", "cpu_s_per_1k_requests").word == "INDICATIVE"


def counted(least: int, most: int, received: int, *, parents: int | None = None, requests: int = 200) -> Tally:
    """A node that the reference has `least` to `most` times per request, after some requests."""
    node = NodeTally(
        type="get", node="sql", kind="client", family="sql", match="SELECT", requests=requests, mode="always", cause="",
        reference_min=least * requests, reference_max=most * requests, expected_min=0, expected_max=most * requests,
        received=received, parents_ok=received if parents is None else parents, parents_as_expected=received,
        rootless=0, calls_to_first_loss=None,
    )  # fmt: skip
    return Tally((node,), (), {}, {}, {}, {"get": requests}, 0)


@pytest.mark.parametrize(
    ("node", "one", "other", "difference"),
    [
        ((1, 12), 2400, 200, "sql client SELECT 100% against 8%"),
        ((0, 1), 200, 20, "sql client SELECT 100% against 10%"),
        ((0, 3), 2, 0, "sql client SELECT 1% against 0%"),
        ((2, 2), 400, 200, "sql client SELECT 100% against 50%"),
    ],
)
def test_a_node_with_a_range_is_compared_by_what_was_received_per_request(
    node: tuple[int, int], one: int, other: int, difference: str
) -> None:
    a, b = counted(*node, one), counted(*node, other)
    assert unequal_types([a], [b]) == {"get": difference}
    assert unequal_types([b], [a]).keys() == {"get"}
    assert unequal_types([a], [a]) == {}
    assert unequal_types([a], [a, a]) == {}, "per request, whatever the number of cells"


def test_a_type_that_one_of_them_alone_has_requests_of_is_unequal() -> None:
    one = counted(1, 1, 200)
    none = replace(one, nodes=(), requests={})
    assert unequal_types([one], [none]) == unequal_types([none], [one])
    assert unequal_types([one], [none]) == {"get": "only one of them has requests of this type"}


def test_a_node_with_a_range_has_right_parents_per_request_as_well() -> None:
    found = unequal_types([counted(0, 2, 100)], [counted(0, 2, 100, parents=50)])
    assert found == {"get": "right parents of sql client SELECT 50% against 25%"}
