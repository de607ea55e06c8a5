"""Collections of garbage are spread over the cells of a form, and nothing else is."""

from __future__ import annotations

import random
from dataclasses import replace
from statistics import fmean, pstdev

import pytest

from lab.guest.wire import Cell, Usage
from lab.verdict.cells.evened import even
from tests.simulate.session import CELL

EACH_S = 0.021


def cell(
    number: int, life: str, cpu_s: float, collections: int | None, *, level: str = "fast", role: str = "service"
) -> Cell:
    usage = Usage(role=role, user_s=cpu_s * 0.7, system_s=cpu_s * 0.3, rss_mib=1.0, rss_peak_mib=1.0, source="cgroup2")
    known = {} if collections is None else {role: collections}
    return replace(CELL, id=f"{number:02}", life=life, level=level, completed=100, usage=(usage,), collections=known)


def evened(cells: list[Cell]) -> list[float]:
    found = even(cells).of
    return [sum(u.user_s + u.system_s for u in c.usage) + found.get((c.id, c.attempt), 0.0) for c in cells]


def life(name: str, counts: list[int], draw: random.Random) -> list[Cell]:
    return [cell(i, name, 0.45 + EACH_S * n + draw.gauss(0, 0.001), n) for i, n in enumerate(counts, start=1)]


def test_a_collection_more_no_longer_makes_a_cell_dearer() -> None:
    draw = random.Random(1)
    cells = life("1-a.1", [6, 6, 7, 6, 6, 6, 7, 6], draw)
    plain = [sum(u.user_s + u.system_s for u in c.usage) for c in cells]
    assert pstdev(plain) > 0.008
    assert pstdev(evened(cells)) < 0.0015
    assert even(cells).each["service"] == pytest.approx(EACH_S, rel=0.1)


def test_what_all_cells_took_stays_what_was_counted() -> None:
    draw = random.Random(2)
    for counts in ([1, 2, 1, 1, 2, 1], [6, 7, 8, 6, 6, 6], [0, 0, 1, 0, 1, 0]):
        cells = life("1-a.1", counts, draw)
        assert fmean(evened(cells)) == pytest.approx(fmean(c.usage[0].user_s + c.usage[0].system_s for c in cells))


def test_one_life_gives_nothing_to_another_and_its_edge_is_known() -> None:
    draw = random.Random(3)
    first, second = life("1-a.1", [6, 6, 7, 6, 7, 6], draw), life("2-a.1", [9, 9, 9, 9, 9, 9], draw)
    second = [replace(c, id=f"2{c.id}") for c in second]
    both = even([*first, *second])
    assert all(both.of[c.id, c.attempt] == pytest.approx(0.0) for c in second)
    whole = sum(c.usage[0].user_s + c.usage[0].system_s for c in [*first, *second])
    assert both.edge["fast"] == pytest.approx(0.5 * 2**0.5 * both.each["service"] / whole)


def test_a_cell_with_fewer_requests_gets_its_share() -> None:
    draw = random.Random(4)
    cells = life("1-a.1", [6, 6, 7, 6, 7, 6, 6], draw)
    half = replace(cell(9, "1-a.1", 0.309, 4), completed=50)
    assert even([*cells, half]).of["09", half.attempt] == pytest.approx(-(4 - 48 / 750 * 50) * EACH_S, rel=0.15)


def test_nothing_moves_between_levels() -> None:
    draw = random.Random(5)
    fast = life("1-a.1", [6, 6, 7, 6, 7, 6], draw)
    slow = cell(9, "1-a.1", 0.9, 12, level="slow")
    found = even([*fast, slow])
    assert found.of["09", slow.attempt] == pytest.approx(0.0)
    assert found.of == pytest.approx({**even(fast).of, ("09", slow.attempt): 0.0})


@pytest.mark.parametrize("counts", [[5, 5, 5, 5], [None, None, None]])
def test_nothing_is_moved_where_no_cell_differs_or_none_is_known(counts: list[int | None]) -> None:
    cells = [cell(i, "1-a.1", 0.5 + i / 100, n) for i, n in enumerate(counts)]
    assert even(cells).each == {}
    assert all(value == 0 for value in even(cells).of.values())


def test_one_unlike_cell_is_an_outlier_and_a_slope_within_its_error_is_noise() -> None:
    draw = random.Random(6)
    assert even(life("1-a.1", [6, 6, 6, 6, 7, 6, 6, 6], draw)).each == {}
    noisy = [cell(i, "1-a.1", 0.5 + draw.gauss(0, 0.05), n) for i, n in enumerate([6, 7, 6, 7, 6, 6, 7, 6])]
    assert even(noisy).each == {}
    assert even(noisy).edge == {"fast": 0.0}


def with_reports(counts: list[int], each_s: float, draw: random.Random) -> list[Cell]:
    """Collections that cost by the runtime 0.04 to 0.12 s, `each_s` of it is CPU, and 5 ms of noise."""
    cells = []
    for i, n in enumerate(counts, start=1):
        reported = sum(draw.uniform(0.04, 0.12) for _ in range(n))
        one = cell(i, "1-a.1", 0.2 + each_s * reported + draw.gauss(0, 0.005), n, role="agent")
        cells.append(replace(one, collecting_s={"agent": reported}))
    return cells


def test_unlike_collections_are_spread_by_what_the_runtime_reports_also_when_each_cell_has_as_many() -> None:
    draw = random.Random(7)
    for counts in ([2] * 12, [2, 2, 2, 1, 2, 2, 3, 2, 2, 2], [2, 2, 2, 2, 1, 2, 2, 2]):
        cells = with_reports(counts, 0.7, draw)
        assert pstdev([sum(u.user_s + u.system_s for u in c.usage) for c in cells]) > 0.012
        assert pstdev(evened(cells)) < 0.008
        assert even(cells).each["agent"] == pytest.approx(0.7 * 0.08, rel=0.3)


def test_a_report_that_is_not_whole_leaves_the_numbers() -> None:
    cells = with_reports([2] * 12, 0.7, random.Random(8))
    assert even([replace(cells[0], collecting_s={}), *cells[1:]]).each == {}


def test_the_edge_of_a_life_whose_cost_is_not_clear_is_what_the_runtime_reports_at_most() -> None:
    cells = [replace(cell(i, "1-a.1", 0.45, 1), collecting_s={"service": 0.01}) for i in range(8)]
    found = even(cells)
    assert (found.each, found.of) == ({}, {})
    assert found.edge["fast"] == pytest.approx(0.5 * 0.01 / (8 * 0.45))


def test_a_cost_below_nothing_is_noise() -> None:
    cells = [cell(i, "1-a.1", cpu, n) for i, (cpu, n) in enumerate([(0.50, 6), (0.48, 7), (0.50, 6), (0.48, 7)])]
    assert even(cells).of == {}


def test_service_and_agent_apart() -> None:
    cells = []
    for i, (service, agent) in enumerate([(6, 1), (6, 2), (7, 1), (6, 1), (7, 1), (6, 2), (6, 1)]):
        one = cell(i, "1-a.1", 0.45 + 0.02 * service, service)
        other = cell(i, "1-a.1", 0.2 + 0.07 * agent, agent, role="agent")
        both = {"service": service, "agent": agent}
        cells.append(replace(one, usage=(*one.usage, *other.usage), collections=both))
    assert even(cells).each == pytest.approx({"service": 0.02, "agent": 0.07})
    assert pstdev(evened(cells)) == pytest.approx(0.0, abs=1e-9)


def test_the_only_cell_of_a_level_is_off_by_half_a_collection_and_the_others_share_one() -> None:
    fast = life("1-a.1", [6, 6, 7, 6, 7, 6], random.Random(9))
    slow = cell(9, "1-a.1", 0.9, 12, level="slow")
    found = even([*fast, slow])
    half = 0.5 * found.each["service"]
    assert found.off["09", slow.attempt] == pytest.approx(half)
    assert found.off["01", slow.attempt] == pytest.approx(half / 6)
    assert found.edge["slow"] == pytest.approx(half / 0.9)


def test_a_cost_that_neither_cells_nor_runtime_tell_is_at_most_that_of_another_form() -> None:
    cells = [cell(i, "1-a.1", 0.45, 1) for i in range(8)]
    assert even(cells, {"service": EACH_S}).edge["fast"] == pytest.approx(0.5 * EACH_S / (8 * 0.45))
    assert even(cells, {"service": EACH_S}).of == {}
