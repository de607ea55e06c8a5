"""How figures are written: the same everywhere, and never rounded to a lie."""

from __future__ import annotations

import pytest

from lab.model import figures


@pytest.mark.parametrize(
    ("pct", "said"),
    [(38.4, "+38 %"), (9.96, "+10 %"), (-2.13, "−2.1 %"), (0.01, "0.0 %"), (-0.04, "0.0 %"), (None, "–")],
)
def test_effects_in_words(pct: float | None, said: str) -> None:
    assert figures.effect(pct) == said


@pytest.mark.parametrize(("ratio", "said"), [(1.0, "100 %"), (0.99999, "99.9 %"), (0.00001, "0.1 %"), (0.0, "0 %")])
def test_shares_never_round_to_a_lie(ratio: float, said: str) -> None:
    assert figures.share(ratio) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.04, "0.0 s"), (4.62, "4.6 s"), (21.7, "22 s"), (131.2, "2 min 11 s"), (185.0, "3 min 05 s"), (240.4, "4 min")],
)
def test_durations(value: float, said: str) -> None:
    assert figures.seconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (1536, "1.5 KiB"),
        (3_250_586, "3.1 MiB"),
        (26_214_400, "25 MiB"),
        (2 << 30, "2.0 GiB"),
    ],
)
def test_sizes(value: int, said: str) -> None:
    assert figures.size(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0.000"), (-1.5, "\N{MINUS SIGN}1.50"), (12.34, "12.3"), (12346.6, "12,347")],
)
def test_amounts(value: float, said: str) -> None:
    assert figures.amount(value) == said
