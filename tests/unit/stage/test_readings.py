"""Values from the events of a beat."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.guest.wire.live import LoadEnded
from lab.stage.beat.expect import InRange, Seen
from lab.stage.beat.readings import readings
from tests.unit.stage.test_signals import ENDED, REQUEST

LOAD = replace(ENDED, p50_ns=4_000_000, cpu_s={"service": 0.3, "agent": 0.1, "sink": 9.0}, rss_mib={"service": 20.0})


def test_a_load_gives_each_form_its_figures_and_their_ratios_to_the_twin() -> None:
    twin = replace(LOAD, form="twin", p50_ns=2_000_000, spans_expected=0)
    base = replace(LOAD, form="baseline", cpu_s={}, p50_ns=None, spans_expected=0)
    found = {(value.name, value.form): value for value in readings([LOAD, twin, base], at_ms=7.0)}
    assert found["latency_p50", "ebpf"].value == pytest.approx(4.0)
    assert found["latency_p50", "ebpf"].ratio == pytest.approx(2.0)
    assert found["latency_p50", "twin"].ratio is None
    assert found["cpu_per_request", "ebpf"].value == pytest.approx(4.0)
    assert found["spans", "ebpf"].value == 380.0
    assert found["spans", "ebpf"].ratio is None
    assert ("cpu_per_request", "baseline") not in found
    assert ("spans", "twin") not in found
    assert (found["errors", "ebpf"].value, found["errors", "ebpf"].unit) == (0.0, "errors")
    assert all(value.at_ms == 7.0 for value in found.values())


def test_the_baseline_stands_in_for_a_twin_that_is_not_there() -> None:
    base = replace(LOAD, form="baseline", p50_ns=3_000_000)
    found = {(value.name, value.form): value for value in readings([LOAD, base], at_ms=0.0)}
    assert found["latency_p50", "ebpf"].ratio == pytest.approx(4 / 3)


def test_a_request_gives_its_spans_and_how_many_are_in_place() -> None:
    found = {value.name: value.value for value in readings([REQUEST], at_ms=0.0)}
    assert found == {"request_spans": 4.0, "spans_in_place": 2.0}
    assert readings([replace(REQUEST, expected=0, instrumented=False)], at_ms=0.0) == ()
    older = readings([replace(REQUEST, misplaced=None)], at_ms=0.0)
    assert [value.name for value in older] == ["request_spans"], "an older guest does not tell"


def test_a_form_of_which_nothing_is_known_has_values_too() -> None:
    unknown = replace(REQUEST, expected=0, seen=1, misplaced=0)
    for seen in (1, 0):
        found = {value.name: value.value for value in readings([replace(unknown, seen=seen)], at_ms=0.0)}
        assert found == {"request_spans": seen, "spans_in_place": seen}


def test_a_span_without_its_parent_is_one_span_out_of_place() -> None:
    many = replace(REQUEST, seen=13, wrong_parent=("db",), parent_missing=("s1", "s2"), misplaced=11)
    found = {value.name: value.value for value in readings([many], at_ms=0.0)}
    assert found == {"request_spans": 13.0, "spans_in_place": 2.0}


def test_of_several_requests_the_one_with_the_fewest_spans_is_judged() -> None:
    poor = replace(REQUEST, seen=2, misplaced=0)
    for order in ([poor, REQUEST, REQUEST], [REQUEST, poor]):
        found = [(value.name, value.form, value.value) for value in readings(order, at_ms=0.0)]
        assert found == [("request_spans", "ebpf", 2.0), ("spans_in_place", "ebpf", 2.0)]
    assert all("fewest" in value.title for value in readings([poor, REQUEST], at_ms=0.0))


def test_requests_that_failed_are_a_value_of_their_own() -> None:
    """They are counted among the answers, and their latencies and costs among those."""
    failed = replace(LOAD, errors=100)
    found = readings([failed, replace(LOAD, form="twin")], at_ms=0.0)
    errors = {one.form: (one.value, one.ratio) for one in found if one.name == "errors"}
    assert errors == {"ebpf": (100.0, None), "twin": (0.0, None)}
    assert [one.name for one in found[-2:]] == ["errors", "errors"], "last: they are zero as a rule"


def ratio_missed(ratio_of: str, *loads: LoadEnded, counted: bool = False) -> str:
    seen = Seen()
    for value in readings(loads, at_ms=0.0, counted=counted):
        seen.note(value)
    return InRange(value="latency_p50", form=ratio_of, ratio=True, at_most=1.0).missed(seen)


def test_why_a_value_has_no_ratio() -> None:
    base = replace(LOAD, form="baseline")
    for form in ("", "ebpf", "baseline"):
        told = ratio_missed(form, LOAD, base, counted=True)
        assert "simulated" in told
        assert "baseline was measured" not in told
    assert "neither twin nor baseline was measured beside it" in ratio_missed("ebpf", LOAD)
    assert "it is what the others are compared with" in ratio_missed("baseline", LOAD, base)
    assert "that of baseline is 0" in ratio_missed("ebpf", LOAD, replace(base, p50_ns=0))
    assert ratio_missed("ebpf", LOAD, base) == ""
