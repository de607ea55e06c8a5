"""The cause of a value that is off, by the signals beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.stage.beat.signals import Signals
from lab.stage.diagnosis.causes import explain
from lab.stage.diagnosis.judge import Usual, usual
from lab.stage.diagnosis.observed import Observations
from lab.stage.history.inputs import Inputs
from lab.stage.history.ledger import Figure, Rehearsal
from lab.stage.stream.events import Value

QUIET = Signals(
    steal=0.001,
    pressure=0.1,
    others=0.02,
    host_others=0.03,
    sentinel_ms=4.0,
    generator=0.1,
    late=0.004,
    clock_step_ms=0.1,
    trend=1.02,
    spans={"ebpf": 1.0, "otel": 1.0},
    silent_s={"ebpf": 0.5, "otel": 0.0},
    agents=("ebpf",),
    parents={"ebpf": 0.25, "otel": 0.0},
    builds={"baseline": ("aa",), "ebpf": ("aa",), "otel": ("bb",)},
)
REHEARSED = [replace(QUIET, sentinel_ms=4.0 + n / 20, late=0.004 + n / 1000, others=0.02 + n / 200) for n in range(5)]
FORMS = {"baseline": 1.0, "ebpf": 1.3, "otel": 1.5}


def figures(base: float, *, shift: float = 0.0) -> tuple[Figure, ...]:
    ratios = {form: ratio * (1 + shift) for form, ratio in FORMS.items()}
    made = [
        Figure(
            beat="load",
            name="latency_p50",
            unit="ms",
            value=base * r,
            form=form,
            ratio=r if form != "baseline" else None,
        )
        for form, r in ratios.items()
    ]
    return (*made, Figure(beat="load", name="spans", unit="spans", value=400.0, form="ebpf"))


def before() -> Usual:
    inputs = Inputs(show="", seed=1)
    return usual(
        Rehearsal(id=str(n), date="", inputs=inputs, beats=(), seconds=1.0, figures=figures(4 + n / 20, shift=n / 200))
        for n in range(5)
    )


def scene(
    now: Signals = QUIET, *, factor: float = 1.0, of: dict[str, float] | None = None, spans: float = 400.0, **other: Any
) -> Observations:
    known = before()
    factors = of or {}
    values = [
        Value(
            at_ms=9.0,
            name=f.name,
            title=f.name,
            value=f.value * factor * factors.get(f.form, 1.0),
            unit=f.unit,
            form=f.form,
            ratio=f.ratio and f.ratio * factors.get(f.form, 1.0),
        )
        for f in figures(4.1, shift=0.01)[:3]
    ]
    values.append(Value(at_ms=9.0, name="spans", title="spans", value=spans, unit="spans", form="ebpf"))
    judged = [known.judged("load", value) for value in values]
    return Observations(beat="load", values=judged, now=now, rehearsed=REHEARSED, usual=known, **other)


SLOW: dict[str, Any] = {"factor": 2.0}
FEW: dict[str, Any] = {"spans": 300.0}
CASES: dict[str, tuple[Signals, dict[str, Any]]] = {
    "noisy host": (replace(QUIET, steal=0.3, sentinel_ms=7.0, late=0.4, trend=1.4), SLOW),
    "throttled": (replace(QUIET, sentinel_ms=9.0, late=0.4), SLOW),
    "clock": (replace(QUIET, clock_step_ms=3000.0, trend=20.0), SLOW),
    "background work": (replace(QUIET, others=0.6, sentinel_ms=7.0, late=0.2), SLOW),
    "load generator": (replace(QUIET, late=0.5), SLOW),
    "warm-up": (replace(QUIET, trend=2.0), SLOW),
    "dropped spans": (replace(QUIET, spans={"ebpf": 0.75, "otel": 1.0}), FEW),
    "not attached": (replace(QUIET, spans={"ebpf": 0.75}, silent_s={"ebpf": 3.0}), FEW),
    "context lost": (replace(QUIET, parents={"ebpf": 1.0, "otel": 0.0}, spans={"ebpf": 0.75}), FEW),
    "wrong binary": (replace(QUIET, builds={**QUIET.builds, "otel": ("aa",)}), {"of": {"otel": 0.7}}),
}


@pytest.mark.parametrize("name", CASES)
def test_each_cause_is_named_first_by_its_signal(name: str) -> None:
    now, how = CASES[name]
    made = scene(now, **how)
    assert made.off
    first = explain(made)[0]
    assert first.name == name
    assert first.evidence
    assert first.sentence.endswith(".")
    assert first.value in {value.name for value in made.off}


def test_nothing_off_needs_no_cause() -> None:
    assert explain(scene()) == ()
    assert explain(scene(CASES["noisy host"][0])) == ()


def test_no_cause_shows_the_rehearsed_interval_beside_the_value() -> None:
    (only,) = explain(scene(factor=2.0))
    assert (only.name, only.sentence) == ("", "No cause found.")
    assert only.evidence.startswith("latency_p50 of baseline: 8.28 ms; ")
    assert only.evidence.endswith(" in rehearsal")


def test_the_comparison_stands_where_all_forms_moved_together() -> None:
    (first, *_) = explain(scene(CASES["noisy host"][0], factor=2.0))
    stands = "the comparison still stands: latency_p50 of otel is 1.52 times that of baseline"
    assert first.sentence.startswith(f"The host took CPU away; {stands}")
    assert "in rehearsal)." in first.sentence
    (first, *_) = explain(scene(CASES["noisy host"][0], factor=2.0, of={"ebpf": 3.0}, again=True))
    assert first.sentence == "The host took CPU away; we run it once more."


def test_only_a_ratio_of_what_is_off_or_of_its_kind_backs_the_comparison() -> None:
    """Memory says nothing of a latency, and a ratio that was never rehearsed nothing at all."""
    busy = CASES["noisy host"][0]
    made = scene(busy, factor=2.0)
    memory = [
        Figure(beat="load", name="rss", unit="MiB", value=44.0, form="baseline"),
        Figure(beat="load", name="rss", unit="MiB", value=400.0, form="ebpf", ratio=9.1),
    ]
    inputs = Inputs(show="", seed=1)
    rehearsed = [
        Rehearsal(id=str(n), date="", inputs=inputs, beats=(), seconds=1.0, figures=tuple(memory)) for n in range(5)
    ]
    beside = [
        Value(at_ms=9.0, name="rss", title="memory", value=f.value, unit="MiB", form=f.form, ratio=f.ratio, judged="on")
        for f in memory
    ]
    for values in (made.values, [one for one in made.values if one.form != "ebpf"]):
        (first, *_) = explain(replace(made, values=[*values, *beside], usual=usual(rehearsed), again=True))
        assert first.sentence == "The host took CPU away; we run it once more."


def test_spans_that_a_form_without_an_agent_lost_are_no_agents_fault() -> None:
    lost = replace(QUIET, spans={"otel": 0.33}, silent_s={"otel": 3.0})
    off = Value(at_ms=9.0, name="spans", title="spans", value=400, unit="spans", form="otel", judged="off")
    assert [one.name for one in explain(replace(scene(lost), values=[off]))] == ["dropped spans"]


def test_spans_that_a_busy_host_made_late_are_no_agents_fault_but_one_that_ended_is() -> None:
    """The likeliest first: what a host does to all explains a long silence too."""
    busy = replace(QUIET, steal=0.15, silent_s={"ebpf": 6.0})
    off = Value(at_ms=9.0, name="cpu_per_request", title="CPU", value=40, unit="ms", form="ebpf", judged="off")
    for now in (busy, replace(QUIET, others=0.6, silent_s={"ebpf": 6.0}), replace(busy, steal=0.0, throttled=0.4)):
        assert "not attached" not in [one.name for one in explain(replace(scene(now), values=[off]))]
    ended = replace(busy, ended=("agent of ebpf: killed by signal 9",))
    assert explain(replace(scene(ended), values=[off]))[0].name == "not attached"


def test_spans_that_were_lost_are_told_beside_a_busy_host() -> None:
    """What is left out for another cause leaves nothing out itself."""
    busy = replace(QUIET, steal=0.15, silent_s={"ebpf": 6.0}, spans={"ebpf": 0.5})
    slow, lost = (
        Value(at_ms=9.0, name=name, title=name, value=40, unit=unit, form="ebpf", judged="off")
        for name, unit in (("cpu_per_request", "ms"), ("spans", "spans"))
    )
    assert {one.name for one in explain(replace(scene(busy), values=[slow, lost]))} == {"noisy host", "dropped spans"}


def test_an_agent_that_is_known_from_rehearsals_alone_was_not_watching() -> None:
    late = replace(QUIET, agents=(), silent_s={"ebpf": 3.0}, spans={"ebpf": 0.5})
    assert [one.name for one in explain(scene(late, spans=200.0))] == ["not attached"]


def test_the_time_to_the_first_span_is_a_time() -> None:
    off = Value(at_ms=9.0, name="first_span_s", title="time", value=4.0, unit="s", form="baseline", judged="off")
    now = replace(QUIET, host_others=0.85, silent_s={"baseline": 4.0}, agents=("baseline",))
    assert explain(replace(scene(now), values=[off]))[0].name == "noisy host"


def test_an_agent_that_ended_is_named() -> None:
    first, *_ = explain(scene(replace(QUIET, ended=("agent of ebpf: killed by signal 9",)), spans=100.0))
    assert (first.name, first.evidence) == ("not attached", "the agent of ebpf: killed by signal 9")


def test_a_changed_input_is_the_cause_without_any_value() -> None:
    (first,) = explain(scene(changed=("kernel: 6.1.0-29 in rehearsal, 6.1.0-31 now",)))
    assert (first.name, first.evidence) == ("version drift", "kernel: 6.1.0-29 in rehearsal, 6.1.0-31 now")


def test_the_farther_outside_the_earlier() -> None:
    lost = replace(QUIET, parents={"ebpf": 0.4})
    for late, names in ((0.06, ["context lost", "load generator"]), (1.0, ["load generator", "context lost"])):
        assert [c.name for c in explain(scene(replace(lost, late=late), factor=2.0, spans=300.0))] == names


def test_other_forms_spans_do_not_explain_this_ones() -> None:
    made = scene(replace(QUIET, spans={"ebpf": 1.0, "otel": 0.2}), spans=300.0)
    assert explain(made)[0].name == ""


def test_without_any_rehearsed_signal_the_limits_hold() -> None:
    made = replace(scene(CASES["noisy host"][0], factor=2.0), rehearsed=())
    assert explain(made)[0].name == "noisy host"
    unknown = replace(scene(Signals(), factor=2.0), rehearsed=())
    assert explain(unknown)[0].name == ""


def test_a_signal_that_was_rehearsed_as_zero_and_has_no_least_distance_tells_nothing() -> None:
    made = scene(replace(QUIET, sentinel_ms=4.0), factor=2.0)
    zero = [replace(one, sentinel_ms=0.0) for one in REHEARSED]
    for rehearsed in (zero, zero[:1]):
        assert "throttled" not in [one.name for one in explain(replace(made, rehearsed=rehearsed))]
