"""The algebra of effects, with scipy as the oracle where it has one."""

from __future__ import annotations

import math
from functools import partial
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lab.guest.scoring.gates import percentile
from lab.guest.wire.checked import NUMBERS
from lab.verdict.cells.metrics import ecdf
from lab.verdict.effects import (
    combined,
    estimate,
    log_ratio,
    percent,
    scalar_ratios,
    typed_ratios,
)

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


def test_what_is_lost_in_the_noise_of_one_collection_is_still_a_number_of_a_summary() -> None:
    """A standing cost near zero, as a short run has: the log ratio's error was beyond what a reader of it takes."""
    found = estimate([math.log(82.6)], edge=40.0)
    assert found is not None
    assert -100.0 <= found.range_pct[0] < 0.0 < found.range_pct[1] <= NUMBERS.high


@settings(deadline=None)  # the first of a size simulates once
@given(ratios)
def test_the_estimate_lies_among_the_blocks(blocks: list[float]) -> None:
    found = estimate(blocks)
    assert found is not None
    assert percent(min(blocks)) - 1e-9 <= found.effect_pct <= percent(max(blocks)) + 1e-9
    assert found.blocks == len(blocks)


@pytest.mark.parametrize(("blocks", "level"), [(2, 0.5), (3, 0.75), (6, 0.96875), (8, 0.9609375)])
def test_an_effect_has_an_interval_with_the_level_it_reached(blocks: int, level: float) -> None:
    found = estimate([math.log(1 + n / 100) for n in range(1, blocks + 1)])
    assert found is not None
    assert found.low_pct is not None
    assert found.high_pct is not None
    assert found.mde_pct is not None
    assert 0 < found.low_pct <= found.effect_pct <= found.high_pct
    assert found.level == pytest.approx(level)
    assert found.excludes_zero
    assert (found.low90_pct is None) == (blocks < 5)


def test_no_block_is_no_effect_and_one_block_has_no_interval() -> None:
    assert estimate([]) is None
    one = estimate([0.1])
    assert one is not None
    assert (one.low_pct, one.high_pct, one.level, one.mde_pct, one.low90_pct) == (None,) * 5
    assert not one.excludes_zero


def test_types_are_combined_by_the_geometric_mean() -> None:
    assert combined([math.log(2), math.log(8)]) == pytest.approx(math.log(4))
    of = {1: {"a": 20.0, "b": 8.0}}
    base = {1: {"a": 10.0, "b": 1.0}}
    assert typed_ratios(of, [base], [1], ["a", "b"]) == [pytest.approx(math.log(4))]


def test_a_block_without_a_reference_or_a_type_is_left_out() -> None:
    assert scalar_ratios({1: 2.0, 2: 2.0}, [{1: 1.0}, {}], [1, 2]) == [pytest.approx(math.log(2))]
    assert typed_ratios({1: {"a": 1.0}}, [{1: {"a": 1.0}}], [1], ["a", "b"]) == []
    assert scalar_ratios({1: 0.0}, [{1: 1.0}], [1]) == []
    assert scalar_ratios({1: 2.0}, [{1: -3.0}, {1: 5.0}], [1]) == [pytest.approx(math.log(2))], "noise of both counts"
    assert scalar_ratios({1: 2.0}, [{1: -5.0}, {1: 4.0}], [1]) == []


def test_a_fitted_figure_around_zero_has_no_ratio_in_the_blocks_where_noise_made_it_positive() -> None:
    base = dict.fromkeys(range(1, 13), 10.0)
    of = {block: 20.0 if block % 2 else -20.0 for block in base}
    fitted = partial(scalar_ratios, blocks=sorted(base), fitted=True)
    assert fitted(of, [base, base]) == [], "the positive half alone would be twice as dear"
    assert fitted(base, [of]) == []
    assert fitted({**base, 3: 0.0}, [base]) == []
    assert fitted(base, [base, {**base, 3: -5.0}]) == [0.0] * 2 + [pytest.approx(math.log(4))] + [0.0] * 9
    assert len(fitted({**base, 13: -1.0}, [base])) == 12, "block 13 has no reference"


@given(st.lists(values, min_size=1, max_size=60), st.floats(min_value=0, max_value=1))
def test_percentiles_agree_with_scipy(sample: list[float], quantile: float) -> None:
    oracle = stats.mstats.mquantiles(sample, [quantile], alphap=1, betap=1)[0]
    rounding = 1e-14 * max(map(abs, sample))  # between a large and a small value the last digits are the large one's
    assert percentile(sorted(sample), quantile) == pytest.approx(float(oracle), rel=1e-9, abs=rounding)


@given(st.lists(values, min_size=1, max_size=500))
def test_a_curve_keeps_both_ends_and_only_rises(sample: list[float]) -> None:
    points = ecdf(sorted(sample))
    assert len(points) <= 48
    assert points[0][0] == min(sample)
    assert points[-1] == (max(sample), 1.0)
    assert points == sorted(points)


def test_an_error_that_all_blocks_share_widens_the_interval_and_what_can_be_detected() -> None:
    blocks = [math.log(1.10) + n / 1000 for n in (-3, -2, -1, 0, 0, 1, 2, 3)]
    alone, shared, wide = (estimate(blocks, edge=edge) for edge in (0.0, 0.004, 0.1))
    assert alone == estimate(blocks)
    assert alone
    assert shared
    assert wide
    assert shared.effect_pct == alone.effect_pct
    for key, wider in {"low_pct": -1, "low90_pct": -1, "high_pct": 1, "high90_pct": 1, "mde_pct": 1}.items():
        assert (getattr(shared, key) - getattr(alone, key)) * wider > 0, key
    assert wide.level
    assert wide.high_pct
    to_each_side = NormalDist().inv_cdf((1 + wide.level) / 2) * 0.1  # far more than the blocks differ by
    assert math.log1p(wide.high_pct / 100) - math.log(1.10) == pytest.approx(to_each_side, rel=0.01)
