"""The whole verdict over simulated sessions: families, levels, pairs of forms, controls, clocks."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from scipy import stats

from lab.model.metrics import METRICS, PRIMARY, applicable, headline, primary
from lab.model.summary_controls import Controls, Delay
from lab.verdict.cells.metrics import line
from lab.verdict.compare import Terms, levels, rows
from lab.verdict.controls import with_seen
from lab.verdict.paired import value
from tests.simulate.noise import normal
from tests.simulate.session import LEVEL, Setup, at_rates, session, verdicts

QUIET = (normal(0.002), normal(0.002))
TERMS = Terms(grade="ready", levels=(LEVEL,), instrumented=2, seen={"cpu": True, "wait": True})
CPU = "cpu_s_per_1k_requests"


def word(setup: Setup, form: str, against: str, metric: str = CPU) -> str:
    (row,) = [r for r in verdicts(setup, 1) if (r.form, r.against, r.metric) == (form, against, metric)]
    return row.word


def test_what_was_planted_is_found_and_nothing_else() -> None:
    setup = Setup(noise=QUIET, factor={"b": 1.3})
    assert word(setup, "b", "baseline") == "COSTS MORE"
    assert word(setup, "a", "baseline") == "CAN'T TELL"
    assert word(setup, "b", "a") == "COSTS MORE"
    beside = [row for row in rows(session(setup, 1), TERMS) if row.metric not in PRIMARY]
    assert {row.word for row in beside} == {"INDICATIVE", "CAN'T TELL"}


def test_two_forms_are_ranked_only_where_one_was_told_apart_from_the_baseline() -> None:
    """Either is within the threshold of the baseline; their difference is not."""
    setup = Setup(noise=QUIET, factor={"a": 0.985, "b": 1.015})
    assert word(setup, "a", "baseline") == word(setup, "b", "baseline") == "CAN'T TELL"
    (row,) = [r for r in verdicts(setup, 1) if (r.form, r.against, r.metric) == ("b", "a", CPU)]
    assert (row.word, row.reasons[0]) == ("CAN'T TELL", "neither of the two differs from the baseline")


@pytest.mark.parametrize("blocks", [7, 8])
def test_a_word_needs_the_blocks_that_its_family_asks_for(blocks: int) -> None:
    setup = Setup(noise=QUIET, blocks=blocks, factor={"a": 2.0})
    assert TERMS.fewest_blocks == 8
    assert word(setup, "a", "baseline") == ("COSTS MORE" if blocks == 8 else "INDICATIVE")


def test_only_the_middle_level_earns_words_and_lines_go_through_all_of_them() -> None:
    made = {rate: session(Setup(noise=QUIET, factor={"a": 1.5}), rate) for rate in ("20", "40", "60")}
    forms = {name: at_rates({rate: views[name] for rate, views in made.items()}) for name in made["20"]}
    order = levels(forms, {"20": 20.0, "40": 40.0, "60": 60.0})
    assert order == ("20", "40", "60")
    terms = replace(TERMS, levels=order)
    found = rows(forms, terms)
    assert {row.level for row in found if row.primary} == {"40"}
    assert {row.word for row in found if row.metric == CPU and row.level != "40"} == {"INDICATIVE"}
    fitted = {row.metric for row in found if row.level == "all"}
    assert fitted == {"cpu_marginal_ms", "cpu_standing_ms"}
    slope = value(forms["a"], METRICS["cpu_marginal_ms"], "all")
    plain = value(forms["baseline"], METRICS["cpu_marginal_ms"], "all")
    assert isinstance(slope, float)
    assert isinstance(plain, float)
    assert slope / plain == pytest.approx(1.5, rel=0.1)


def test_a_line_is_the_one_of_scipy() -> None:
    noisy = [(1.0, 3.2), (2.0, 4.9), (3.0, 7.1), (5.0, 10.8)]
    oracle = stats.linregress([x for x, _ in noisy], [y for _, y in noisy])
    found = line(noisy)
    assert found is not None
    assert found[0] == pytest.approx(float(oracle.intercept))
    assert found[1] == pytest.approx(float(oracle.slope))
    assert line([(2, 5), (2, 6)]) is None
    assert line([]) is None


# --- clocks ----------------------------------------------------------------------------------------------------------


def test_a_counted_clock_has_instructions_where_a_real_one_has_time() -> None:
    assert primary((), "real") == PRIMARY
    assert primary((), "counted") == ("instructions_per_request",)
    assert primary(("cpu_s_per_1k_requests", "rss_mib", "unknown"), "counted") == ("instructions_per_request",)
    assert primary(("latency_p50_ms",), "counted") == ("instructions_per_request",), "no time is counted"
    assert primary(("instructions_per_request",), "real") == ("cpu_s_per_1k_requests",)
    assert headline("real") == PRIMARY
    assert headline("counted") == ("instructions_per_request", "latency_p50_ms")
    counted, real = ({m.name for m in applicable(clock, 2)} for clock in ("counted", "real"))
    assert {"instructions_per_span", "instructions_standing", "instructions_marginal"} <= counted
    assert not {name for name in counted if name.startswith("cpu_")}
    assert not {name for name in real if name.startswith("instructions_")}
    terms = replace(TERMS, clock="counted", threshold_pct={"cpu_s_per_1k_requests": 1.0})
    assert terms.threshold(METRICS["instructions_per_request"]) == 1.0
    assert terms.fewest_blocks == 7, "two comparisons"


def test_instructions_earn_words_where_they_are_counted_and_latency_does_not() -> None:
    views = session(Setup(noise=QUIET, factor={"a": 1.2}), 1)
    for name, form in views.items():
        counted = [
            replace(v, figures=replace(v.figures, instructions=1e9 * (v.figures.cpu_s or 0))) for v in form.attempts
        ]
        views[name] = replace(form, attempts=tuple(counted))
    found = rows(views, replace(TERMS, grade="counted", clock="counted"))
    words = {row.metric: row.word for row in found if (row.form, row.against) == ("a", "baseline")}
    assert words["instructions_per_request"] == "COSTS MORE"
    assert words["latency_p50_ms"] == "INDICATIVE"
    assert "cpu_s_per_1k_requests" not in words


# --- controls --------------------------------------------------------------------------------------------------------


def test_without_a_control_that_was_seen_there_is_no_word() -> None:
    views = session(Setup(noise=QUIET, factor={"a": 1.5}), 1)
    delay = Delay(
        effect_pct=4, low_pct=3, high_pct=5, confidence=0.99, blocks=8, per_block_pct=(), form="delay-cpu", metric=CPU,
        seen=False, near=True, realised_pct=9,
    )  # fmt: skip
    for seen, expected in ((True, "COSTS MORE"), (False, "CAN'T TELL"), (None, "CAN'T TELL")):
        terms = with_seen(TERMS, Controls(twin={}, delay_cpu=replace(delay, seen=seen)))
        (row,) = [r for r in rows(views, terms) if (r.form, r.against, r.metric) == ("a", "baseline", CPU)]
        assert row.word == expected


def test_no_effect_that_earned_a_word_is_called_lost_in_noise() -> None:
    """Its size is what the word says; SAME and the noise are not read from one interval."""
    terms = replace(TERMS, floor_pct={CPU: 1.0})
    found = [row for seed in range(20) for row in rows(session(Setup(noise=(normal(0.0125),) * 2), seed), terms)]
    words = Counter(row.word for row in found if row.lost)
    assert Counter(row.word for row in found)["SAME"] > 10
    assert words["CAN'T TELL"] > 10, "a size that earned nothing is still hidden"
    assert set(words) <= {"CAN'T TELL", "INDICATIVE"}
