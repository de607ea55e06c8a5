"""Which word wins."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any, get_args

import pytest

from lab.model.metrics import METRICS
from lab.model.summary import Word
from lab.verdict.effects import Effect
from lab.verdict.rules import Evidence, judge, lost


def effect(pct: float, low: float | None, high: float | None, *narrow: float, blocks: int = 8) -> Effect:
    low90, high90 = narrow or (low, high)
    return Effect(
        effect_pct=pct, blocks=blocks, ratios=(), low_pct=low, high_pct=high, level=0.992, low90_pct=low90,
        high90_pct=high90, mde_pct=4.0,
    )  # fmt: skip


def read(pct: float) -> Effect:
    return Effect(effect_pct=pct, blocks=1, ratios=())


GOOD = Evidence(
    metric=METRICS["cpu_s_per_1k_requests"],
    effect=effect(12, 9, 15, 10, 14),
    grade="ready",
    threshold_pct=2.0,
    fewest_blocks=8,
    floor_pct=1.0,
    control_seen=True,
)
COUNTED = replace(GOOD, metric=METRICS["instructions_per_request"], grade="counted")
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
    wins = "SATURATED" if pair == ("INVALID", "SATURATED") else pair[0]  # its cells are void because of its load
    assert word == wins
    assert reasons == tuple(FAULTS[wins].values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"grade": "emulated"}, "graded emulated"),
        ({"grade": "noisy"}, "graded noisy"),
        ({"grade": "counted"}, "its time is simulated"),
        ({"effect": effect(12, 9, 15, blocks=3)}, "3 blocks; a verdict needs 8"),
        ({"effect": read(12)}, "1 block; a verdict needs 8"),
        ({"descriptive": "not a primary metric"}, "not a primary metric"),
    ],
)
def test_too_little_is_indicative(change: dict[str, Any], said: str) -> None:
    word, reasons = judge(replace(GOOD, **change))
    assert word == "INDICATIVE"
    assert any(said in reason for reason in reasons)


@pytest.mark.parametrize("grade", ["counted", "emulated", "noisy", "limited", "ready"])
@pytest.mark.parametrize("metric", ["instructions_per_request", "cpu_s_per_1k_requests", "latency_p50_ms"])
def test_words_for_instructions_need_a_count_and_words_for_time_a_clock(grade: str, metric: str) -> None:
    word, _ = judge(replace(GOOD, metric=METRICS[metric], grade=grade))
    earned = grade == "counted" if metric == "instructions_per_request" else grade in {"limited", "ready"}
    assert word == ("COSTS MORE" if earned else "INDICATIVE")


def test_cheaper_than_nothing_is_implausible() -> None:
    for evidence in (GOOD, COUNTED):
        word, reasons = judge(replace(evidence, effect=effect(-12, -15, -9)))
        assert word == "COSTS LESS"
        assert reasons[0].startswith("IMPLAUSIBLE")


CHEAPER = replace(GOOD, effect=read(-12), grade="emulated", floor_pct=None)


def test_cheaper_than_nothing_is_implausible_in_an_indicative_run_too() -> None:
    word, reasons = judge(CHEAPER)
    assert word == "INDICATIVE"
    assert reasons[0].startswith("IMPLAUSIBLE")
    assert "graded emulated" in reasons[1]


@pytest.mark.parametrize(
    "change",
    [
        {"effect": read(12)},
        {"effect": read(-1.9)},  # within the threshold
        {"floor_pct": 20.0},  # within the noise
        {"plain": False},  # one instrumented form may well be cheaper than another
        {"metric": replace(GOOD.metric, gain=True), "effect": read(12)},
    ],
)
def test_what_is_no_saving_is_not_implausible(change: dict[str, Any]) -> None:
    word, reasons = judge(replace(CHEAPER, **change))
    assert word == "INDICATIVE"
    if "metric" not in change:
        assert not [reason for reason in reasons if "IMPLAUSIBLE" in reason]


def test_a_twin_that_reads_as_much_is_told_beside_the_doubt() -> None:
    assert "the twin" in judge(replace(CHEAPER, twin=read(-23.0)))[1][0]
    assert "the twin" not in judge(replace(CHEAPER, twin=read(1.0)))[1][0]


def test_without_a_twin_and_a_noise_floor_the_noise_is_not_zero() -> None:
    for of in (GOOD, COUNTED, replace(GOOD, effect=effect(0.5, -0.6, 1.4, -0.4, 1.2))):
        alone = replace(of, floor_pct=None, twin=None)
        word, reasons = judge(alone)
        assert (word, reasons[0]) == (
            "CAN'T TELL",
            "no twin has a figure, and the noise of earlier sessions is unknown",
        )
    assert judge(replace(GOOD, floor_pct=None, twin=read(1.0)))[0] == "COSTS MORE"


def test_more_throughput_is_less_cost() -> None:
    assert judge(replace(GOOD, metric=replace(GOOD.metric, gain=True)))[0] == "COSTS LESS"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"effect": effect(0.5, -0.6, 1.4, -0.4, 1.2)}, "SAME"),
        ({"effect": effect(0.5, 0.2, 0.9, 0.3, 0.8)}, "SAME"),  # sure to be there, and sure not to matter
        ({"effect": effect(0.5, -3.0, 4.0, -2.4, 3.2)}, "CAN'T TELL"),
        ({"effect": effect(1.5, 0.6, 2.4, 0.8, 2.2)}, "CAN'T TELL"),
        ({"control_seen": False}, "CAN'T TELL"),
        ({"control_seen": None}, "CAN'T TELL"),
        ({"floor_pct": 20.0}, "CAN'T TELL"),
        ({"twin": read(-13.0)}, "CAN'T TELL"),  # the same binary differs by more in this very run
        ({"effect": None}, "INVALID"),
    ],
)
def test_the_rest(change: dict[str, Any], word: str) -> None:
    found, reasons = judge(replace(GOOD, **change))
    assert found == word
    if word == "CAN'T TELL":
        assert reasons[-1] == "minimum detectable effect 4.0 %"


def test_an_unknown_floor_never_says_same() -> None:
    near = replace(GOOD, effect=effect(0.1, -1.0, 1.0, -0.5, 0.5))
    assert judge(near)[0] == "SAME"
    word, reasons = judge(replace(near, floor_pct=None, twin=read(0.1)))
    assert (word, reasons[0]) == ("CAN'T TELL", "within ±2 %, and the noise of earlier sessions is unknown")
    assert judge(replace(near, floor_pct=2.5))[0] == "CAN'T TELL"
    assert judge(replace(near, twin=read(3.0)))[0] == "CAN'T TELL"


def test_every_word_has_a_test() -> None:
    words: tuple[Word, ...] = ("COSTS MORE", "COSTS LESS", "SAME", "CAN'T TELL", "INDICATIVE")
    assert {*FAULTS, *words} == set(get_args(Word))


@pytest.mark.parametrize(
    ("found", "twin", "said"),
    [
        (read(62), read(87), "twin ±87 %"),  # as the first run of a newcomer without acceleration read
        (read(-1.9), read(87), "twin ±87 %"),
        (read(130), read(87), ""),
        (read(1.2), read(1.6), ""),  # both below the threshold
        (effect(80, -40, 300), read(1), "between −40 and +300 %"),
        (effect(3, -4, 9), effect(1, -8, 11), "twin ±11 %"),
        (effect(50, 40, 62), effect(5, -60, 70), ""),  # it excludes zero
        (effect(0.5, -1.0, 1.5), effect(0.2, -1.1, 1.2), ""),
        (read(30), None, ""),
    ],
)
def test_an_effect_smaller_than_its_noise_is_no_number(found: Effect, twin: Effect | None, said: str) -> None:
    assert lost(found, twin, 2.0) == said
