"""Which word wins."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from lab.verdict.words import MEANING, Evidence, judge

GOOD = Evidence(
    metric="cpu_s_per_1k_requests",
    effect_pct=12.0,
    blocks=8,
    grade="ready",
    threshold_pct=2.0,
    fewest_blocks=8,
    low_pct=9.0,
    high_pct=15.0,
    low90_pct=10.0,
    high90_pct=14.0,
    floor_pct=1.0,
    control_seen=True,
)
FAULTS = {
    "INVALID": {"invalid": "no valid cell"},
    "BIASED": {"biased": "shares differ"},
    "NOT COMPARABLE": {"unequal": "other spans"},
    "SATURATED": {"saturated": "beyond its load"},
}


def test_everything_in_order_earns_a_word() -> None:
    assert judge(GOOD) == ("COSTS MORE", ())


@pytest.mark.parametrize("pair", list(combinations(FAULTS, 2)))
def test_the_earlier_fault_wins(pair: tuple[str, str]) -> None:
    both: dict[str, Any] = {**FAULTS[pair[0]], **FAULTS[pair[1]]}
    word, reasons = judge(replace(GOOD, **both, grade="emulated"))
    assert word == pair[0]
    assert reasons == tuple(FAULTS[pair[0]].values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"grade": "emulated"}, "graded emulated"),
        ({"grade": "noisy"}, "graded noisy"),
        ({"blocks": 3}, "3 blocks; a word needs 8"),
        ({"blocks": 1}, "1 block; a word needs 8"),
        ({"low_pct": None, "high_pct": None}, "without an interval"),
    ],
)
def test_too_little_is_indicative(change: dict[str, object], said: str) -> None:
    word, reasons = judge(replace(GOOD, **change))  # type: ignore[arg-type]
    assert word == "INDICATIVE"
    assert any(said in reason for reason in reasons)


def test_cheaper_than_nothing_is_implausible() -> None:
    word, reasons = judge(replace(GOOD, effect_pct=-12.0, low_pct=-15.0, high_pct=-9.0))
    assert word == "COSTS LESS"
    assert reasons[0].startswith("IMPLAUSIBLE")


CHEAPER = replace(GOOD, effect_pct=-12.0, blocks=1, grade="emulated", low_pct=None, high_pct=None, floor_pct=None)


def test_cheaper_than_nothing_is_implausible_in_an_indicative_run_too() -> None:
    word, reasons = judge(CHEAPER)
    assert word == "INDICATIVE"
    assert reasons[0].startswith("IMPLAUSIBLE")
    assert "graded emulated" in reasons[1]


@pytest.mark.parametrize(
    "change",
    [
        {"effect_pct": 12.0},
        {"effect_pct": -1.9},  # within the threshold
        {"floor_pct": 20.0},  # within the noise
        {"plain": False},  # one instrumented form may well be cheaper than another
        {"metric": "throughput_rps", "effect_pct": -12.0},
    ],
)
def test_what_is_no_saving_is_not_implausible(change: dict[str, object]) -> None:
    word, reasons = judge(replace(CHEAPER, **change))  # type: ignore[arg-type]
    assert word == "INDICATIVE"
    assert not [reason for reason in reasons if "IMPLAUSIBLE" in reason]


def test_a_twin_that_reads_as_much_is_told_beside_the_doubt() -> None:
    assert "the twin" in judge(replace(CHEAPER, twin_pct=-23.0))[1][0]
    assert "the twin" not in judge(replace(CHEAPER, twin_pct=1.0))[1][0]


def test_more_throughput_is_less_cost() -> None:
    assert judge(replace(GOOD, metric="throughput_rps"))[0] == "COSTS LESS"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"effect_pct": 0.5, "low_pct": -0.6, "high_pct": 1.4, "low90_pct": -0.4, "high90_pct": 1.2}, "SAME"),
        ({"effect_pct": 0.5, "low_pct": -3.0, "high_pct": 4.0, "low90_pct": -2.4, "high90_pct": 3.2}, "CAN'T TELL"),
        ({"effect_pct": 1.5, "low_pct": 0.6, "high_pct": 2.4}, "CAN'T TELL"),
        ({"control_seen": False}, "CAN'T TELL"),
        ({"floor_pct": 20.0}, "CAN'T TELL"),
        ({"effect_pct": None}, "INVALID"),
    ],
)
def test_the_rest(change: dict[str, object], word: str) -> None:
    assert judge(replace(GOOD, **change))[0] == word  # type: ignore[arg-type]


def test_an_unknown_floor_never_says_same() -> None:
    near = replace(GOOD, effect_pct=0.1, low_pct=-1.0, high_pct=1.0, low90_pct=-0.5, high90_pct=0.5)
    assert judge(near)[0] == "SAME"
    assert judge(replace(near, floor_pct=None))[0] == "CAN'T TELL"


def test_every_word_is_explained() -> None:
    assert set(FAULTS) <= set(MEANING)
