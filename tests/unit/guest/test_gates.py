from __future__ import annotations

from dataclasses import replace

import pytest

from lab.guest.gates import Facts, gates, reasons
from lab.guest.wire import Gates, Usage

GOOD = Facts(
    scheduled=2000,
    completed=2000,
    late=2,
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
        ({"late": 3}, "late", "late: 0.0015, limit 0.001 (3 of 2000 sends left late)"),
        ({"scheduled": 999, "completed": 999, "late": 1}, "late", "late: 0.001001, limit 0 (1 of 999 sends left late)"),
        ({"unexpected": 1}, "errors", "errors: 1, limit 0 (answers that were not asked for)"),
        ({"load_cpu_s": 14.1}, "load_cpu", "load_cpu: 0.705, limit 0.7 (share of its CPUs)"),
        ({"steal_s": 1.1}, "steal", "steal: 0.055, limit 0.05 (share of all CPUs taken by the hypervisor)"),
        (
            {"clock_step_s": 0.2},
            "clock_step",
            "clock_step: 0.2, limit 0.05 (wall clock against monotonic clock, seconds)",
        ),
        ({"build_ids": {"b1": 1999, "b2": 1}}, "build_id", "build_id: 1, limit 0 (answers of another build than b1)"),
        ({"build_ids": {}}, "build_id", "build_id: 0, limit 0 (answers of another build than b1)"),
        ({"spans_still": False}, "spans_still", "spans_still: 1, limit 0 (span count still after the drain)"),
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
