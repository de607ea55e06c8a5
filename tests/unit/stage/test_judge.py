"""What a value is called beside its rehearsals."""

from __future__ import annotations

import dataclasses
import math
import random
from dataclasses import replace
from statistics import fmean, stdev

import pytest
from scipy import stats

from lab.stage.diagnosis.judge import COUNTS, SHOW, SURE, FigureKey, ranges, usual
from lab.stage.diagnosis.student import inside, two_sided
from lab.stage.history.inputs import Inputs
from lab.stage.history.ledger import Figure, Rehearsal
from lab.stage.stream.events import SIMULATED, Value
from tests.simulate.shows import EQUAL, NOISE, judged, row

SPANS = [(0.97, 1.31), (1.03, 1.28), (1.0, 1.3), (1.01, 1.33), (0.99, 1.29)]


def rehearsed(*moments: tuple[Figure, ...]) -> list[Rehearsal]:
    inputs = Inputs(show="", seed=1)
    return [
        Rehearsal(id=str(n), date="", inputs=inputs, beats=(), seconds=1.0, figures=of) for n, of in enumerate(moments)
    ]


def figures(base: float, ratio: float, spans: float = 120.0) -> tuple[Figure, ...]:
    return (
        Figure(beat="load", name="latency_p50", unit="ms", value=base, form="baseline"),
        Figure(beat="load", name="latency_p50", unit="ms", value=base * ratio, form="ebpf", ratio=ratio),
        Figure(beat="load", name="spans", unit="spans", value=spans, form="ebpf"),
    )


def value(name: str, number: float, *, form: str = "ebpf", ratio: float | None = None, unit: str = "ms") -> Value:
    return Value(at_ms=0.0, name=name, title=name, value=number, unit=unit, form=form, ratio=ratio)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 8, 9, 16, 29, 100])
@pytest.mark.parametrize("alpha", [0.5, 0.05, 0.01, 0.05 / 30, 0.01 / 200])
def test_quantiles_are_those_of_scipy(freedom: int, alpha: float) -> None:
    assert two_sided(alpha, freedom) == pytest.approx(stats.t.isf(alpha / 2, freedom), rel=1e-8)
    assert inside(1.7, freedom) == pytest.approx(1 - 2 * stats.t.sf(1.7, freedom), rel=1e-10)


def test_the_interval_of_one_figure_is_students_prediction_interval_of_its_logarithm() -> None:
    values = [4.0, 4.4, 3.9, 4.1, 4.2]
    (found,) = ranges([values], "ms")
    logs = [math.log(v) for v in values]
    half = stats.t.isf(0.05 / 60, 4) * stdev(logs) * math.sqrt(1 + 1 / 5)
    assert found.interval(0.05 / 30).low == pytest.approx(math.exp(fmean(logs) - half))
    assert found.interval(0.05 / 30).high == pytest.approx(math.exp(fmean(logs) + half))
    assert found.interval(0.05 / 30).usual == 4.1


QUIET, NOISY = [4.0, 4.01, 4.0, 3.99, 4.0], [4.0, 5.0, 3.0, 4.5, 3.6]


def test_a_quiet_form_has_half_of_its_spread_from_all_and_a_noisy_one_keeps_its_own() -> None:
    quiet, noisy = ranges([QUIET] * 3 + [NOISY], "ms")[-2:]
    (quiet_alone,), (noisy_alone,) = ranges([QUIET], "ms"), ranges([NOISY], "ms")
    assert quiet_alone.spread < quiet.spread < noisy.spread
    assert (quiet_alone.freedom, quiet.freedom) == (4, 8)
    assert noisy == noisy_alone


def test_a_zero_in_one_form_leaves_the_others_by_their_logarithms() -> None:
    first, zero = ranges([NOISY, [0.0, *QUIET[1:]]], "ms")
    assert (first.logs, zero.logs) == (True, False)
    assert first == ranges([NOISY], "ms")[0]


def test_spans_that_one_form_may_miss_are_no_others() -> None:
    """Of twenty and more one is forgiven, of fewer none, however many spans the agent of another form drops."""
    for usual_, agent, numbers, told in (
        (
            1200.0,
            [380.0, 420.0, 395.0, 410.0, 400.0],
            (1199, 1198, 1180, 1130),
            ["on", "a bit off", "a bit off", "off"],
        ),
        (12.0, [3.0, 5.0, 4.0, 3.0, 5.0], (12, 11, 9), ["on", "off", "off"]),
    ):
        moments = [
            tuple(
                Figure(beat="b", name="spans", unit="spans", value=n, form=form)
                for form, n in (("otel", usual_), ("ebpf", seen))
            )
            for seen in agent
        ]
        of = usual(rehearsed(*moments))
        assert [of.judged("b", value("spans", n, form="otel", unit="spans")).judged for n in numbers] == told


def test_inside_a_bit_off_and_off() -> None:
    of = usual(rehearsed(*(figures(4 * base, ratio) for base, ratio in SPANS)))
    key = FigureKey("load", "latency_p50", "ebpf")
    assert len(of.ranges) == 4
    near, sure = of.interval(key, SHOW), of.interval(key, SURE)
    assert sure.low < near.low < near.high < sure.high
    for number, word in (
        (5.3, "on"),
        (near.high * 1.01, "a bit off"),
        (sure.high * 1.01, "off"),
        (sure.low * 0.99, "off"),
    ):
        judged = of.judged("load", value("latency_p50", number))
        assert (judged.judged, judged.low, judged.high) == (word, near.low, near.high)


def test_rehearsals_that_are_far_apart_are_no_baseline() -> None:
    """Builds beside other builds: an interval from 0.2 to 3,600 s says nothing."""
    builds = [(Figure(beat="build", name="build_s", unit="s", value=took),) for took in (10.2, 35.7, 11.9, 24.3, 19.5)]
    of = usual(rehearsed(*builds))
    today = of.judged("build", value("build_s", 26.4, form="", unit="s"))
    assert (today.judged, today.low) == ("no baseline", None)


def test_a_simulated_time_is_never_judged() -> None:
    simulated = SIMULATED["ms"]
    moments = [tuple(dataclasses.replace(one, unit=simulated) for one in figures(4 * b, r)) for b, r in SPANS]
    of = usual(rehearsed(*moments))
    assert not of.ranges
    today = value("latency_p50", 400.0, unit=simulated)
    assert of.judged("load", today) == today


def test_a_value_that_keeps_its_place_but_not_its_ratio_is_off() -> None:
    of = usual(
        rehearsed(
            *(
                figures(4 * base, ratio)
                for base, ratio in zip([0.6, 1.7, 1.0, 1.3, 0.8], [r for _, r in SPANS], strict=True)
            )
        )
    )
    assert of.judged("load", value("latency_p50", 8.0, ratio=1.3)).judged == "on"
    judged = of.judged("load", value("latency_p50", 8.0, ratio=2.0))
    assert (judged.judged, judged.by_ratio) == ("off", True)
    assert judged.usual == pytest.approx(1.3 * 4.0)  # at the twin's 4 ms of this moment
    assert judged.high is not None
    assert judged.high < 8.0


def test_what_is_shown_beside_a_ratio_was_rehearsed_for_it() -> None:
    """A host at half speed moves each value and no ratio: the word and the interval are the value's own."""
    of = usual(rehearsed(*(figures(4.0 + n / 100, 1.3 + n / 1000) for n in range(5))))
    ratio = of.interval(FigureKey("load", "latency_p50", "ebpf", ratio=True))
    for twin, word, by_ratio in ((4.02, "on", True), (8.0, "off", False)):
        judged = of.judged("load", value("latency_p50", 1.302 * twin, ratio=1.302))
        assert (judged.judged, judged.by_ratio) == (word, by_ratio)
        assert judged.low is not None
        assert (judged.low / twin == pytest.approx(ratio.low)) is by_ratio


def test_counts_that_never_changed_may_be_one_off() -> None:
    of = usual(rehearsed(*(figures(4 * base, ratio) for base, ratio in SPANS)))
    words = [of.judged("load", value("spans", n, unit="spans")).judged for n in (120, 121, 119, 118, 114, 113)]
    assert words == ["on", "on", "on", "a bit off", "a bit off", "off"]


def test_equal_quantities_are_told_apart_by_what_a_screen_shows() -> None:
    (found,) = ranges([[12.5] * 5], "ms")
    assert not found.interval(0.01).holds(12.6)
    assert found.interval(0.01).holds(12.51)


def test_less_than_the_practical_threshold_is_never_off() -> None:
    of = usual(rehearsed(*(figures(4.0 + n / 1e4, 1.3) for n in range(5))))
    assert of.judged("load", value("latency_p50", 5.4)).judged == "a bit off"  # +3.8 %, its threshold is 5 %
    assert of.judged("load", value("latency_p50", 5.6)).judged == "off"
    strict = usual(rehearsed(*(figures(4.0 + n / 1e4, 1.3) for n in range(5))), {"latency_p50_ms": 2.0})
    assert strict.judged("load", value("latency_p50", 5.4)).judged == "off"


@pytest.mark.parametrize("moments", [0, 1, 2])
def test_fewer_than_three_rehearsals_are_no_baseline(moments: int) -> None:
    judged = usual(rehearsed(*[figures(4.0, 1.3)] * moments)).judged("load", value("latency_p50", 4.0))
    assert (judged.judged, judged.low) == ("no baseline", None)


@pytest.mark.parametrize("odd", [0.0, -1.0, 1e18])
def test_a_value_that_cannot_be_is_off(odd: float) -> None:
    of = usual(rehearsed(*(figures(4 * base, ratio) for base, ratio in SPANS)))
    assert of.judged("load", value("latency_p50", odd)).judged == "off"


def test_zeros_in_rehearsal_are_judged_as_they_are() -> None:
    of = usual(rehearsed(*[(Figure(beat="b", name="errors", unit="errors", value=0.0),)] * 5))
    words = [of.judged("b", value("errors", n, form="", unit="errors")).judged for n in (0, 1, 2)]
    assert words == ["on", "off", "off"]


@pytest.mark.parametrize("unit", sorted(COUNTS))
def test_of_a_count_that_was_always_zero_none_is_forgiven(unit: str) -> None:
    """Exit code 1 where it was 0; and no screen says "rehearsed -1 to 1"."""
    of = usual(rehearsed(*[(Figure(beat="b", name="n", unit=unit, value=0.0),)] * 5))
    told = [of.judged("b", value("n", n, form="", unit=unit)) for n in (0, 1, 2)]
    assert [one.judged for one in told] == ["on", "off", "off"]
    assert told[0].low == 0.0


def test_no_count_is_below_nothing_unless_it_was() -> None:
    few = usual(rehearsed(*((Figure(beat="b", name="n", unit="spans", value=n),) for n in (0.0, 2.0, 9.0, 1.0, 4.0))))
    assert few.interval(FigureKey("b", "n", "")).low == 0.0
    killed = usual(rehearsed(*[(Figure(beat="b", name="exit_code", unit="", value=-9.0),)] * 5))
    assert killed.judged("b", value("exit_code", -9.0, form="", unit="")).judged == "on"
    assert killed.judged("b", value("exit_code", 0.0, form="", unit="")).judged == "off"


def test_a_quantity_that_was_always_zero_is_read_in_what_a_screen_shows() -> None:
    of = usual(rehearsed(*[(Figure(beat="b", name="attach_s", unit="s", value=0.0),)] * 5))
    words = [of.judged("b", value("attach_s", n, form="", unit="s")).judged for n in (0.0, 0.0001, 0.5)]
    assert words == ["on", "on", "off"]


@pytest.mark.parametrize("first", [155.0, 154.0, 90.0])
def test_spans_that_a_second_window_lost_are_off_whatever_the_first_one_had(first: float) -> None:
    of = usual(rehearsed(*(figures(4 * base, ratio, 155.0) for base, ratio in SPANS)))
    lost, before = (value("spans", n, unit="spans") for n in (60.0, first))
    assert of.judged("load", lost, before).judged == "off"
    assert of.judged("load", replace(before, value=155.0), lost).judged == "on"


def test_a_second_window_tells_noise_from_a_change() -> None:
    of = usual(rehearsed(*(figures(4 * base, ratio) for base, ratio in SPANS)))
    key = FigureKey("load", "latency_p50", "ebpf")
    near = of.interval(key, SHOW)
    high, low, inside_it = near.high * 1.05, near.low * 0.95, 5.3
    for first, second, word in (
        (high, high, "off"),
        (low, low, "off"),
        (high, inside_it, "on"),
        (high, low, "a bit off"),
        (inside_it, high * 9, "a bit off"),
    ):
        told = of.judged("load", value("latency_p50", second), value("latency_p50", first))
        assert told.judged == word, (first, second)
    spans = [value("spans", n, unit="spans") for n in (3, 120)]
    slow = value("latency_p50", high)
    assert of.doubt("load", [spans[1], slow]) is slow
    assert of.doubt("load", [spans[1], value("latency_p50", inside_it)]) is None
    assert of.doubt("load", [slow, spans[0]]) is None, "a span that is lost is no noise"


@pytest.mark.parametrize("noise", [kind for kind, of in NOISE.items() if of.forms != EQUAL])
@pytest.mark.parametrize("rehearsals", [5, 10])
def test_forms_that_differ_in_noise_keep_the_promise(noise: str, rehearsals: int) -> None:
    """One clean show in twenty has a value outside: of 400 at most what a share of 5 % gives in 99 of 100 counts."""
    outside = 0
    for number in range(400):
        of, now, _ = judged(random.Random(number), noise, 12, rehearsals)
        outside += any(of.outside(key, number) for key, number in zip(of.ranges, now, strict=True))
    assert outside <= stats.binom.ppf(0.99, 400, SHOW)


@pytest.mark.parametrize("noise", ["normal, together", "heavy tails (t3), alone"])
def test_a_clean_show_is_seldom_called_off(noise: str) -> None:
    _, alone, off, seen_alone, seen = row(noise, 12, 5, 200)
    assert off.bounds[1] <= SHOW
    assert off.value <= alone.value
    assert seen.value > max(0.15, seen_alone.value)
