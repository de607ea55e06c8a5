"""The exact signed-rank test and its interval, with scipy, published tables and simulation as oracles."""

from __future__ import annotations

import random
from itertools import combinations_with_replacement

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lab.verdict.signed_rank import (
    critical,
    detectable,
    fewest_blocks,
    hodges_lehmann,
    interval,
    null_counts,
    tail,
)

ratios = st.lists(st.floats(min_value=-3, max_value=3), min_size=1, max_size=14)
apart = st.lists(st.floats(min_value=-3, max_value=3).filter(lambda x: abs(x) > 1e-6), min_size=3, max_size=14)


@given(apart.filter(lambda values: len({abs(value) for value in values}) == len(values)))
def test_the_tail_is_scipys_exact_p_value(values: list[float]) -> None:
    n, oracle = len(values), stats.wilcoxon(values, method="exact")
    assert min(1.0, 2 * tail(n, int(oracle.statistic))) == pytest.approx(float(oracle.pvalue), abs=1e-12)


# Wilcoxon & Wilcox, "Some Rapid Approximate Statistical Procedures" (1964), table 2: largest rank sums, two-sided
TABLE = {
    0.05: {6: 0, 7: 2, 8: 3, 9: 5, 10: 8, 11: 10, 12: 13, 15: 25, 20: 52, 25: 89},
    0.02: {7: 0, 8: 1, 9: 3, 10: 5, 11: 7, 12: 9, 15: 19, 20: 43, 25: 76},
    0.01: {8: 0, 9: 1, 10: 3, 11: 5, 12: 7, 15: 15, 20: 37, 25: 68},
}


@pytest.mark.parametrize(("alpha", "n", "sum_"), [(a, n, w) for a, row in TABLE.items() for n, w in row.items()])
def test_critical_values_are_the_published_ones(alpha: float, n: int, sum_: int) -> None:
    # the table of 1964 rounds to the nearest level; what is kept here never exceeds the level
    found = critical(n, alpha)
    assert found is not None
    assert 2 * tail(n, found) <= alpha < 2 * tail(n, found + 1)
    assert found in {sum_, sum_ - 1}


def test_too_few_blocks_reject_nothing() -> None:
    assert critical(5, 0.05) is None
    assert critical(6, 0.05) == 0
    assert sum(null_counts(10)) == 2**10


@given(apart, st.sampled_from([0.3, 0.1, 0.05, 0.0125]))
def test_the_interval_holds_what_the_test_does_not_reject(values: list[float], alpha: float) -> None:
    """Inversion: a shift inside is not rejected by scipy at the level that was reached, one outside is."""
    found = interval(values, alpha)
    assert found is not None
    spread = max(values) - min(values)
    if spread < 1e-3 or len({round(a + b, 6) for a, b in combinations_with_replacement(values, 2)}) < len(values):
        return
    reached = 1 - found.level
    for shift, rejected in (
        (found.low - 1e-4 * spread, True),
        (found.high + 1e-4 * spread, True),
        (hodges_lehmann(values), False),
    ):
        moved = [value - shift for value in values]
        if len({round(abs(m), 9) for m in moved}) < len(moved) or 0 in moved:
            continue
        p = float(stats.wilcoxon(moved, method="exact").pvalue)
        assert (p <= reached + 1e-12) == rejected or (not rejected and len(values) < 4)


@given(ratios, st.floats(min_value=-1, max_value=1))
def test_estimate_and_interval_shift_with_their_blocks(blocks: list[float], shift: float) -> None:
    moved = [value + shift for value in blocks]
    assert hodges_lehmann(moved) == pytest.approx(hodges_lehmann(blocks) + shift, abs=1e-9)
    before, after = interval(blocks, 0.05), interval(moved, 0.05)
    if before is None or after is None:
        assert len(blocks) == 1
        return
    assert after.low == pytest.approx(before.low + shift, abs=1e-9)
    assert after.high == pytest.approx(before.high + shift, abs=1e-9)


@pytest.mark.parametrize(("n", "alpha"), [(3, 0.05), (8, 0.05), (8, 0.0125), (12, 0.05), (12, 0.0125)])
def test_the_interval_covers_as_often_as_its_level_says(n: int, alpha: float) -> None:
    """Any symmetric noise: here one block in ten is ten times as noisy."""
    draw = random.Random(f"{n}/{alpha}")
    hits, trials, level = 0, 3000, 0.0
    for _ in range(trials):
        found = interval([draw.gauss() * (10 if draw.random() < 0.1 else 1) for _ in range(n)], alpha)
        assert found is not None
        hits, level = hits + (found.low <= 0 <= found.high), found.level
    assert hits / trials == pytest.approx(level, abs=4 * (level * (1 - level) / trials) ** 0.5)


@pytest.mark.parametrize(("n", "alpha"), [(3, 0.05), (8, 0.0125), (12, 0.05), (60, 0.05)])
def test_the_minimum_detectable_effect_is_seen_in_nine_of_ten_runs(n: int, alpha: float) -> None:
    """One run says what it could have seen; in another run with the same noise and that effect it is seen.

    Nine of ten where the tails are those of recorded noise, a little more often where they are thin.
    """
    draw, trials = random.Random(f"mde/{n}/{alpha}"), 1000 if n < 20 else 200
    for noise, share in ((lambda: draw.gauss() / (draw.gammavariate(2.5, 0.4)) ** 0.5, 0.9), (draw.gauss, 0.93)):
        seen = 0
        for _ in range(trials):
            least = detectable([0.03 * noise() for _ in range(n)], alpha)
            assert least is not None
            again = interval([least + 0.03 * noise() for _ in range(n)], alpha)
            assert again is not None
            seen += again.low > 0
        assert seen / trials == pytest.approx(share if n < 20 else 0.9, abs=0.04 if n < 20 else 0.08)


def test_many_blocks_agree_with_scipys_normal_law() -> None:
    n = 80
    for rank_sum in (900, 1200, 1500):
        oracle = stats.norm.cdf((rank_sum + 0.5 - n * (n + 1) / 4) / (n * (n + 1) * (2 * n + 1) / 24) ** 0.5)
        assert tail(n, rank_sum) == pytest.approx(float(oracle))
    found = critical(n, 0.05)
    assert found is not None
    assert 2 * tail(n, found) <= 0.05 < 2 * tail(n, found + 1)
    assert tail(50, 400) == pytest.approx(
        float(stats.norm.cdf((400.5 - 637.5) / (50 * 51 * 101 / 24) ** 0.5)), abs=2e-3
    )


def test_the_estimate_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no block"):
        hodges_lehmann([])
    assert interval([1.0], 0.05) is None
    assert detectable([1.0], 0.05) is None


@pytest.mark.parametrize(("comparisons", "blocks"), [(1, 6), (4, 8), (6, 8), (8, 9)])
def test_the_fewest_blocks_are_computed(comparisons: int, blocks: int) -> None:
    assert fewest_blocks(comparisons) == blocks
    assert 2 / 2**blocks <= 0.05 / comparisons < 2 / 2 ** (blocks - 1)
    assert critical(blocks, 0.05 / comparisons) is not None
    assert critical(blocks - 1, 0.05 / comparisons) is None
