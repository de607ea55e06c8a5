"""Figures of the bench as rows: medians, targets, ratios."""

from __future__ import annotations

import pytest

from tests.bench.figure import Figure
from tests.bench.machine import floor_figures


def test_up_is_told_as_a_multiple_of_what_no_machine_can_be_faster_than() -> None:
    below, ratio = floor_figures((8.0, 9.0, 7.0), (4.0, 5.0, 3.0))
    assert (below.median, below.target) == (4.0, None)
    assert ratio.median == pytest.approx(2.0)
    assert (ratio.unit, ratio.target) == ("×", 2.5)


def test_where_there_is_no_floor_there_is_no_ratio() -> None:
    assert floor_figures((8.0,), ()) == []


def test_a_row_holds_target_and_ratio() -> None:
    assert Figure(name="a", samples=(3.0, 1.0, 2.0), target=4.0).line().split() == [
        "a", "[s]", "2.000", "1.000", "3.000", "4.00", "0.50",
    ]  # fmt: skip
