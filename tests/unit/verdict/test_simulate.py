"""The simulation suite, short: `./labw python -m tests.simulate` prints the whole of it."""

from __future__ import annotations

import pytest

from tests.simulate import study
from tests.simulate.noise import KINDS, blocks_of


@pytest.mark.parametrize("kind", list(KINDS))
def test_forms_that_are_all_one_service_are_rarely_told_apart(kind: str) -> None:
    found = study.false_words(kind, blocks_of(kind)[0], 100)
    assert found.bounds[0] <= 0.05, str(found)


@pytest.mark.parametrize("kind", ["normal, 10 %", "recorded, http at 200/s", "recorded, shop at 100/s"])
def test_intervals_hold_what_was_planted_as_often_as_they_claim(kind: str) -> None:
    found, claimed = study.covered(kind, 8, 150)
    low, high = found.bounds
    assert low <= claimed <= high + 0.02, str(found)
    assert 0.93 <= claimed <= 0.97


def test_counted_intervals_hold_at_least_as_often_as_they_claim() -> None:
    found, claimed = study.covered("counted and recorded, shop, `ebpf`", 20, 100)
    assert found.bounds[1] >= claimed, str(found)
    assert found.value >= 0.93, str(found)


def test_the_minimum_detectable_effect_is_what_another_session_sees() -> None:
    found = study.power("recorded, http at 200/s", 8, 60)
    assert found.bounds[0] <= 0.9 <= found.bounds[1] + 0.05, str(found)


def test_a_fixed_order_finds_a_winner_that_is_not_there_and_a_random_one_does_not() -> None:
    name = "… 30 % slower at the end"
    fixed, _ = study.phantom(name, 12, 40, fixed=True)
    drawn, _ = study.phantom(name, 12, 40, fixed=False)
    assert fixed.bounds[0] > 0.5, str(fixed)
    assert drawn.bounds[0] <= 0.05, str(drawn)


def test_the_verdict_over_a_thousand_cells_takes_seconds() -> None:
    assert study.analysis(1000).seconds < 10
