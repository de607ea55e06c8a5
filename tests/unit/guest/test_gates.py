from __future__ import annotations

from dataclasses import replace

import pytest

from lab.guest.scoring.gates import FAMILIES, TOUCHES, Facts, Validity, gates, late_sends, late_shift, reasons, validity
from lab.guest.wire import Gate, Gates, RequestSpec, Usage

GOOD = Facts(
    scheduled=2000,
    completed=2000,
    late=2,
    late_shift=0.001,
    unexpected=0,
    window_s=10.0,
    cpus=2,
    load_cpus=2,
    load_cpu_s=3.0,
    steal_s=0.5,
    busy_s=10.0,
    clock_step_s=0.0,
    pause_s=0.1,
    build_ids={"b1": 2000},
    build_id="b1",
    spans_still=True,
    sink_dropped=0,
    usage=(Usage("service", 5.0, 1.8, 1, 1, "proc"), Usage("load", 2.0, 1.0, 1, 1, "proc")),
)


def test_a_good_cell_passes_every_gate() -> None:
    found = gates(GOOD, Gates())
    assert all(gate.ok for gate in found)
    assert reasons(found) == ()


@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        ({"completed": 1989}, "completed", "completed: 0.9945, limit 0.995 (completed ÷ scheduled)"),
        (
            {"late": 300, "late_shift": 0.031},
            "late",
            "late: 0.031, limit 0.02 (300 of 2000 sends left late and raise the median latency by this share)",
        ),
        ({"unexpected": 1}, "errors", "errors: 1, limit 0 (answers with an unexpected status)"),
        ({"load_cpu_s": 14.1}, "load_cpu", "load_cpu: 0.705, limit 0.7 (share of its CPUs)"),
        ({"steal_s": 1.1}, "steal", "steal: 0.055, limit 0.05 (share of all CPUs taken by the hypervisor)"),
        (
            {"clock_step_s": 0.2},
            "clock_step",
            "clock_step: 0.2, limit 0.05 (wall clock against monotonic clock, seconds)",
        ),
        ({"build_ids": {"b1": 1999, "b2": 1}}, "build_id", "build_id: 1, limit 0 (answers of another build than b1)"),
        ({"build_ids": {}}, "build_id", "build_id: 0, limit 0 (answers of another build than b1)"),
        ({"spans_still": False}, "spans_still", "spans_still: 1, limit 0 (1: spans arrived after the drain)"),
        ({"sink_dropped": 4}, "sink_dropped", "sink_dropped: 4, limit 0 (posts or spans the sink refused)"),
        ({"agent_exit": "agent-shop exited with code 5"}, "agent_alive", "agent agent-shop exited with code 5"),
        ({"service_exit": "shop killed by signal 9"}, "service_alive", "service shop killed by signal 9"),
    ],
)
def test_each_hard_gate_fails_alone_with_its_value(change: dict[str, object], name: str, said: str) -> None:
    found = gates(replace(GOOD, **change), Gates())  # type: ignore[arg-type]  # fields by name
    assert [gate.name for gate in found if not gate.ok and gate.hard] == [name]
    assert reasons(found) == (said,)


def test_unattributed_cpu_and_pauses_only_flag() -> None:
    found = gates(replace(GOOD, busy_s=12.0, pause_s=3.0), Gates())
    assert [(g.name, g.hard) for g in found if not g.ok] == [("pause", False), ("unattributed", False)]
    assert reasons(found) == ()
    idle = gates(replace(GOOD, busy_s=0.3, usage=()), Gates())
    assert all(g.ok for g in idle)


def test_a_cell_without_any_window_divides_by_nothing() -> None:
    empty = replace(
        GOOD, scheduled=10, completed=0, late=0, window_s=0.0, busy_s=0.0, build_ids={}, load_failed="load exited"
    )
    assert "load load exited" in reasons(gates(empty, Gates()))


@pytest.mark.parametrize(
    ("change", "void"),
    [
        ({}, set()),
        ({"late": 300, "late_shift": 0.031}, {"latency"}),
        ({"load_cpu_s": 14.1}, {"latency"}),
        ({"steal_s": 1.1}, {"cpu", "latency"}),
        ({"spans_still": False}, {"spans"}),
        ({"sink_dropped": 4}, {"spans"}),
        ({"build_ids": {"b2": 2000}}, set(FAMILIES)),
        ({"clock_step_s": 0.2}, set(FAMILIES)),
        ({"service_exit": "shop killed by signal 9"}, set(FAMILIES)),
        ({"completed": 1900}, set(FAMILIES)),
        ({"unexpected": 1}, set(FAMILIES)),
        ({"spans_still": False, "late": 300, "late_shift": 0.031}, {"spans", "latency"}),
    ],
)
def test_late_voids_spans_a_gate_voids_what_it_can_touch_and_nothing_else(
    change: dict[str, object], void: set[str]
) -> None:
    found = validity(gates(replace(GOOD, **change), Gates()))  # type: ignore[arg-type]  # fields by name
    assert set(found.void) == void
    assert all(found.void.values())
    assert found.whole == (not void)


def test_every_gate_is_in_the_table_and_an_unknown_one_may_touch_everything() -> None:
    assert {gate.name for gate in gates(GOOD, Gates())} == set(TOUCHES)
    assert set(validity([Gate("of-a-newer-guest", False, 1, 0)]).void) == set(FAMILIES)
    assert validity([Gate("of-a-newer-guest", False, 1, 0, hard=False)]) == Validity()


SPECS = [RequestSpec("get", 1, "GET", "/"), RequestSpec("slow", 1, "GET", "/", expect_timeout=True)]
MS = 1_000_000


def sends(late: int, *, of: int = 180, by_ms: float = 6.0) -> list[tuple[int, int, int, int, str]]:
    """Requests of 8 to 12 ms; the first `late` of them, spread over the whole, left late by so much."""
    rows = []
    for index in range(of):
        start = index * 20 * MS
        lag = int(by_ms * MS) if index * late // of != (index + 1) * late // of else 0
        rows.append((start, start + lag, start + lag + 8 * MS + index * 7 % 11 * 4 * MS // 10, 200, "get"))
    return rows


def test_late_voids_spans_one_late_send_of_180_moves_no_median_and_many_do() -> None:
    assert late_sends(sends(1))[0] == 1
    assert late_shift(sends(1), SPECS) < 0.005
    assert late_shift(sends(0), SPECS) == 0.0
    assert late_shift(sends(60), SPECS) > 0.02
    # a number says nothing by itself: the same sixty, by half of what a send may be late
    assert late_shift(sends(60, by_ms=0.5), SPECS) == 0.0
    # what moves no median may move the percentile that it is in
    assert late_shift(sends(9, by_ms=200), SPECS) < 0.02
    assert late_shift(sends(9, by_ms=200), SPECS, 0.99) > 1.0


def test_late_sends_of_requests_without_a_latency_move_nothing() -> None:
    rows = [(start, start + 50 * MS, end, -1, "slow") for start, _, end, _, _ in sends(0)]
    assert late_sends(rows)[0] == 180
    assert late_shift(rows, SPECS) == 0.0
    assert late_shift([], SPECS) == 0.0
