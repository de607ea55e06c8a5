"""A cause is told of what it can have moved, of the form that it is in, and with a sentence that is true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.stage.beat.signals import Signals
from lab.stage.diagnosis.causes import explain
from lab.stage.diagnosis.judge import MANY, usual
from lab.stage.diagnosis.observed import Observations
from lab.stage.history.inputs import Inputs
from lab.stage.history.ledger import Figure, Rehearsal
from lab.stage.stream.events import Cause, Value
from tests.unit.stage.test_causes import QUIET, REHEARSED

FIGURES = {
    ("latency_p50", "baseline"): (2.0, "ms"),
    ("latency_p50", "otel"): (3.0, "ms"),
    ("cpu_per_request", "baseline"): (1.0, "ms"),
    ("spans", "ebpf"): (400.0, "spans"),
    ("spans", "otel"): (400.0, "spans"),
    ("errors", "otel"): (0.0, "errors"),
    ("errors", "ebpf"): (0.0, "errors"),
    ("exit_code", ""): (0.0, ""),
    ("files_woven", "otel"): (12.0, "files"),
    ("lines_added", "otel"): (480.0, "lines"),
    ("probes", "ebpf"): (30.0, "probes"),
}
COUNTED = ("", "files", "lines", "probes")


def rehearsal(number: int) -> Rehearsal:
    figures = tuple(
        Figure(
            beat="b", name=name, form=form, unit=unit, value=value * (1 + number / 250 if unit == "ms" else 1)
        )
        for (name, form), (value, unit) in FIGURES.items()
    )  # fmt: skip
    return Rehearsal(
        id=str(number), date="", inputs=Inputs(show="", seed=1), beats=(), seconds=1.0, figures=figures
    )  # fmt: skip


def told(now: Signals, today: dict[tuple[str, str], float], **other: Any) -> tuple[Cause, ...]:
    known = usual(rehearsal(number) for number in range(5))
    values = [
        Value(at_ms=1.0, name=name, title=name, value=value, unit=FIGURES[name, form][1], form=form)
        for (name, form), value in today.items()
    ]
    judged = [known.judged("b", value) for value in values]
    return explain(Observations(beat="b", values=judged, now=now, rehearsed=REHEARSED, usual=known, **other))


def names(now: Signals, today: dict[tuple[str, str], float], **other: Any) -> list[str]:
    return [cause.name for cause in told(now, today, **other)]


BUSY = replace(QUIET, steal=0.2, others=0.6, late=0.5, trend=2.0, sentinel_ms=9.0)


@pytest.mark.parametrize("key", [key for key, (_, unit) in FIGURES.items() if unit in COUNTED])
def test_a_busy_host_changes_no_count(key: tuple[str, str]) -> None:
    (only,) = told(BUSY, {key: 7.0})
    assert (only.name, only.value, only.form) == ("", *key)
    usually = FIGURES[key][0]
    span = f"{usually:g}" if usually < MANY else f"{usually - 1:g} to {usually + 1:g}"
    assert only.evidence.endswith(f"; {span} in rehearsal")


@pytest.mark.parametrize(
    "now",
    [
        replace(QUIET, steal=0.04),
        replace(QUIET, others=0.6),
        replace(QUIET, throttled=0.4),
        replace(QUIET, late=0.4),
        replace(QUIET, trend=2.0),
    ],
)
def test_what_makes_a_form_slow_made_none_fast(now: Signals) -> None:
    fast = {("latency_p50", "otel"): 1.5, ("latency_p50", "baseline"): 1.0}
    slow = dict.fromkeys(fast, 9.0)
    assert names(now, fast) == [""]
    assert names(now, slow) != [""]


@pytest.mark.parametrize(
    "now",
    [
        replace(QUIET, silent_s={"ebpf": 3.0}),
        replace(QUIET, spans={"ebpf": 0.5}),
        replace(QUIET, parents={"ebpf": 0.9}),
        replace(QUIET, clock_step_ms=3000.0),
    ],
)
def test_what_loses_spans_gave_none_more(now: Signals) -> None:
    assert names(now, {("spans", "ebpf"): 500.0}) == [""]
    assert names(now, {("spans", "ebpf"): 200.0}) != [""]


def test_where_nothing_is_off_changed_inputs_are_all_that_is_told() -> None:
    """A quarter of an eBPF agent's spans has no parent as a rule: no lost context where it was never rehearsed."""
    now = replace(BUSY, parents={"ebpf": 0.25}, ended=("agent of ebpf: killed by signal 9",))
    (only,) = told(now, {}, changed=("kernel: 6.1 in rehearsal, 6.2 now",))
    assert (only.name, only.value) == ("version drift", "")
    assert told(now, {}) == ()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (["tool go: go1.26.1 in rehearsal, go1.26.2 now", "seed: 1 in rehearsal, 2 now"],
         "This is a different tool than in rehearsal."),
        (["show file: ab in rehearsal, cd now"], "This is not what was rehearsed: the show file is different."),
        (["kernel: 6.1 in rehearsal, 6.2 now", "lab: 1.0 in rehearsal, 1.1 now"],
         "This is not what was rehearsed: the kernel and the version of lab are different."),
        (["kernel: a", "show file: b", "seed: c", "lab: d"],
         "This is not what was rehearsed: the kernel, the show file and 2 more are different."),
    ],
)  # fmt: skip
def test_what_changed_is_called_what_it_is(changed: list[str], sentence: str) -> None:
    (only,) = told(QUIET, {}, changed=tuple(changed))
    assert only.sentence == sentence


@pytest.mark.parametrize("now", [replace(QUIET, steal=0.3), replace(QUIET, trend=2.0)])
def test_once_more_is_said_only_of_a_beat_that_may_be_repeated(now: Signals) -> None:
    slow = {("latency_p50", "baseline"): 9.0}
    assert told(now, slow, again=True)[0].sentence.endswith("; we run it once more.")
    assert "once more" not in told(now, slow)[0].sentence


DIED = replace(QUIET, ended=("agent of ebpf: killed by signal 9",))
OTHER = replace(QUIET, builds={**QUIET.builds, "otel": ("zz",)})


@pytest.mark.parametrize(
    ("now", "name", "value", "form"),
    [(DIED, "not attached", "spans", "ebpf"), (OTHER, "wrong binary", "latency_p50", "otel")],
)
def test_a_fact_about_one_form_is_told_of_its_own_value(now: Signals, name: str, value: str, form: str) -> None:
    baseline = {("cpu_per_request", "baseline"): 9.0}
    first, *_ = told(now, {**baseline, ("spans", "ebpf"): 90.0, ("latency_p50", "otel"): 9.0})
    assert (first.name, first.value, first.form) == (name, value, form)
    first, *_ = told(now, baseline)
    assert (first.name, first.value, first.form) == (name, "", form), "no other form's value is beside it"


def test_of_two_agents_that_ended_the_one_whose_form_is_off_is_told() -> None:
    both = replace(QUIET, ended=("agent of other: exit status 1", "agent of ebpf: killed by signal 9"))
    first, *_ = told(both, {("spans", "ebpf"): 90.0})
    assert (first.evidence, first.form) == ("the agent of ebpf: killed by signal 9", "ebpf")


def test_what_one_forms_agent_did_hides_nothing_of_another_form() -> None:
    now = replace(DIED, spans={"ebpf": 1.0, "otel": 0.3})
    found = told(now, {("spans", "ebpf"): 396.0, ("spans", "otel"): 120.0})
    assert {(one.name, one.form) for one in found} == {("not attached", "ebpf"), ("dropped spans", "otel")}


def test_the_requests_are_not_fine_where_they_failed() -> None:
    """In the middle of a chain: three of five spans came."""
    now = replace(QUIET, errors={"otel": 1.0, "ebpf": 0.0}, spans={"otel": 0.6, "ebpf": 1.0})
    lost, failed = {("spans", "otel"): 240.0}, {("errors", "otel"): 480.0}
    for today in (lost, failed, lost | failed):
        (only,) = told(now, today)
        assert (only.name, only.form) == ("failed requests", "otel")
        assert "fine" not in only.sentence


def test_requests_that_a_busy_host_let_time_out_are_not_the_first_cause() -> None:
    """As measured: three programs beside an emulated machine, 20 % of two forms' requests took too long."""
    now = replace(QUIET, host_others=0.3, errors={"otel": 0.2, "baseline": 0.0}, spans={"otel": 0.9})
    slow = {("latency_p50", "baseline"): 6.0, ("latency_p50", "otel"): 30.0, ("spans", "otel"): 360.0}
    first, second = told(now, slow | {("errors", "otel"): 5.0})
    assert (first.name, second.name) == ("noisy host", "failed requests")
    assert first.sentence == "The host took CPU away, and requests failed."


def test_requests_of_a_form_that_is_as_fast_as_rehearsed_failed_by_themselves() -> None:
    now = replace(QUIET, host_others=0.3, errors={"otel": 0.2, "baseline": 0.0})
    found = names(now, {("latency_p50", "baseline"): 6.0, ("errors", "otel"): 5.0})
    assert found == ["failed requests", "noisy host"]


def test_the_requests_are_fine_in_none_of_the_forms_that_failed() -> None:
    now = replace(QUIET, errors={"otel": 0.1, "ebpf": 0.4}, spans={"otel": 0.9, "ebpf": 0.6})
    today = {("errors", "otel"): 48.0, ("errors", "ebpf"): 192.0, ("spans", "otel"): 360.0, ("spans", "ebpf"): 240.0}
    assert names(now, today) == ["failed requests"]


def test_one_request_that_failed_is_named_too() -> None:
    now = replace(QUIET, errors={"otel": 0.0002})
    (only,) = told(now, {("errors", "otel"): 1.0})
    assert (only.name, only.evidence) == ("failed requests", "errors of otel: 1 errors; 0 in rehearsal")
    assert names(now, {("latency_p50", "otel"): 9.0}) == [""], "of a latency it says nothing"


def test_spans_that_another_form_dropped_are_told_beside_requests_that_failed() -> None:
    now = replace(QUIET, errors={"otel": 1.0, "ebpf": 0.0}, spans={"otel": 0.3, "ebpf": 0.5})
    found = told(now, {("errors", "otel"): 480.0, ("spans", "ebpf"): 200.0, ("spans", "otel"): 240.0})
    assert {(one.name, one.form) for one in found} == {("failed requests", "otel"), ("dropped spans", "ebpf")}
