"""The algebra of effects, with scipy as the oracle where it has one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lab.guest.scoring.gates import percentile
from lab.verdict.effects import (
    combined,
    estimate,
    fewest_blocks,
    hodges_lehmann,
    log_ratio,
    percent,
    scalar_ratios,
    typed_ratios,
)
from lab.verdict.metrics import ecdf

values = st.floats(min_value=1e-3, max_value=1e6)
ratios = st.lists(st.floats(min_value=-3, max_value=3), min_size=1, max_size=14)


@given(values, values, st.floats(min_value=0.01, max_value=100))
def test_a_faster_machine_changes_no_effect(value: float, reference: float, speed: float) -> None:
    assert log_ratio(value * speed, [reference * speed]) == pytest.approx(log_ratio(value, [reference]), abs=1e-9)


@given(values, values)
def test_swapping_sides_turns_the_sign(value: float, reference: float) -> None:
    assert log_ratio(value, [reference]) == pytest.approx(-log_ratio(reference, [value]), abs=1e-9)


def test_the_reference_is_the_mean_of_baseline_and_twin() -> None:
    assert percent(log_ratio(11.0, [9.0, 11.0])) == pytest.approx(10.0)


@given(st.floats(min_value=-0.9, max_value=20))
def test_per_cent_is_what_people_mean(change: float) -> None:
    assert percent(math.log1p(change)) == pytest.approx(change * 100, rel=1e-9, abs=1e-9)


@given(ratios)
def test_the_estimate_lies_among_the_blocks(blocks: list[float]) -> None:
    found = estimate(blocks)
    assert found is not None
    assert percent(min(blocks)) - 1e-9 <= found.effect_pct <= percent(max(blocks)) + 1e-9
    assert (found.low_pct, found.high_pct, found.mde_pct) == (None, None, None)
    assert found.blocks == len(blocks)


@given(ratios, st.floats(min_value=-1, max_value=1))
def test_the_estimate_shifts_with_its_blocks(blocks: list[float], shift: float) -> None:
    moved = hodges_lehmann([value + shift for value in blocks])
    assert moved == pytest.approx(hodges_lehmann(blocks) + shift, abs=1e-9)


@given(st.lists(st.floats(min_value=-3, max_value=3), min_size=3, max_size=12, unique=True))
def test_hodges_lehmann_is_where_the_signed_rank_statistic_balances(blocks: list[float]) -> None:
    """The estimate is the centre at which Wilcoxon's statistic (scipy) is as far from either end as it can be."""
    centre = hodges_lehmann(blocks)
    width = max(blocks) - min(blocks)
    if width < 1e-6:
        return
    half = len(blocks) * (len(blocks) + 1) / 4
    below = stats.wilcoxon(
        [b - (centre - 1e-7 * width) for b in blocks], alternative="greater", method="approx"
    ).statistic
    above = stats.wilcoxon(
        [b - (centre + 1e-7 * width) for b in blocks], alternative="greater", method="approx"
    ).statistic
    assert above <= half + 1e-9
    assert below >= half - 1e-9


def test_no_block_is_no_effect() -> None:
    assert estimate([]) is None
    with pytest.raises(ValueError, match="no block"):
        hodges_lehmann([])


def test_types_are_combined_by_the_geometric_mean() -> None:
    assert combined([math.log(2), math.log(8)]) == pytest.approx(math.log(4))
    of = {1: {"a": 20.0, "b": 8.0}}
    base = {1: {"a": 10.0, "b": 1.0}}
    assert typed_ratios(of, [base], [1], ["a", "b"]) == [pytest.approx(math.log(4))]


def test_a_block_without_a_reference_or_a_type_is_left_out() -> None:
    assert scalar_ratios({1: 2.0, 2: 2.0}, [{1: 1.0}, {}], [1, 2]) == [pytest.approx(math.log(2))]
    assert typed_ratios({1: {"a": 1.0}}, [{1: {"a": 1.0}}], [1], ["a", "b"]) == []
    assert scalar_ratios({1: 0.0}, [{1: 1.0}], [1]) == []


@pytest.mark.parametrize(("comparisons", "blocks"), [(1, 6), (4, 8), (6, 8), (8, 9)])
def test_the_fewest_blocks_are_computed(comparisons: int, blocks: int) -> None:
    assert fewest_blocks(comparisons) == blocks
    assert 2 / 2**blocks <= 0.05 / comparisons < 2 / 2 ** (blocks - 1)


@given(st.lists(values, min_size=1, max_size=60), st.floats(min_value=0, max_value=1))
def test_percentiles_agree_with_scipy(sample: list[float], quantile: float) -> None:
    oracle = stats.mstats.mquantiles(sample, [quantile], alphap=1, betap=1)[0]
    assert percentile(sorted(sample), quantile) == pytest.approx(float(oracle), rel=1e-9)


@given(st.lists(values, min_size=1, max_size=500))
def test_a_curve_keeps_both_ends_and_only_rises(sample: list[float]) -> None:
    points = ecdf(sorted(sample))
    assert len(points) <= 48
    assert points[0][0] == min(sample)
    assert points[-1] == (max(sample), 1.0)
    assert points == sorted(points)
