"""When a cell may count: every gate with its value and its limit. Pure, so that the verdict can judge again.

Hard gates make a cell invalid and earn it one rerun; soft ones are printed beside the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.guest.wire import Gate, Gates, Usage

PAUSE_MAX_S = 2.0  # the sampler ran this late: the machine stood still
BUSY_FLOOR = 0.02  # below this share of all CPUs, "unattributed" is noise of the counters' own grain


@dataclass(frozen=True)
class Facts:
    """What the gates look at, for one cell."""

    scheduled: int
    completed: int
    late: int
    unexpected: int
    window_s: float
    cpus: int
    load_cpus: int  # how many CPUs the load generator may use
    load_cpu_s: float
    steal_s: float
    busy_s: float
    clock_step_s: float  # largest change of wall clock against monotonic clock
    pause_s: float  # longest gap between two samples, beyond the sampling period
    build_ids: dict[str, int]
    build_id: str  # the one expected; empty: the service tells none
    spans_still: bool
    sink_dropped: int
    usage: Sequence[Usage] = field(default=())
    service_exit: str = ""  # "" while alive, else how it ended
    agent_exit: str = ""
    sink_exit: str = ""
    load_failed: str = ""


def gates(facts: Facts, limits: Gates) -> tuple[Gate, ...]:
    """All gates of one cell, hard ones first."""
    late_limit = 0.0 if facts.scheduled < limits.late_min_requests else limits.late_max
    late = _ratio(facts.late, facts.scheduled)
    wrong = sum(n for value, n in facts.build_ids.items() if value != facts.build_id) if facts.build_id else 0
    untold = bool(facts.build_id) and not facts.build_ids and facts.completed > 0
    load = _ratio(facts.load_cpu_s, facts.window_s * max(1, facts.load_cpus))
    steal = _ratio(facts.steal_s, facts.window_s * max(1, facts.cpus))
    done = _ratio(facts.completed, facts.scheduled)
    return (
        _alive("load", facts.load_failed),
        _alive("service", facts.service_exit),
        _alive("agent", facts.agent_exit),
        _alive("sink", facts.sink_exit),
        Gate("completed", done >= limits.completed_min, done, limits.completed_min, "completed ÷ scheduled"),
        Gate(
            "late",
            late <= late_limit,
            late,
            late_limit,
            "%d of %d sends left late" % (facts.late, facts.scheduled),
            hard=limits.late_hard,
        ),
        Gate("errors", facts.unexpected == 0, facts.unexpected, 0.0, "answers that were not asked for"),
        Gate("load_cpu", load <= limits.load_cpu_share_max, load, limits.load_cpu_share_max, "share of its CPUs"),
        Gate("steal", steal <= limits.steal_max, steal, limits.steal_max, "share of all CPUs taken by the hypervisor"),
        Gate(
            "clock_step",
            facts.clock_step_s <= limits.clock_step_max_s,
            facts.clock_step_s,
            limits.clock_step_max_s,
            "wall clock against monotonic clock, seconds",
        ),
        Gate(
            "build_id",
            wrong == 0 and not untold,
            float(wrong),
            0.0,
            "answers of another build than %s" % facts.build_id,
        ),
        Gate(
            "spans_still", facts.spans_still, 0.0 if facts.spans_still else 1.0, 0.0, "span count still after the drain"
        ),
        Gate("sink_dropped", facts.sink_dropped == 0, facts.sink_dropped, 0.0, "posts or spans the sink refused"),
        Gate("pause", facts.pause_s <= PAUSE_MAX_S, facts.pause_s, PAUSE_MAX_S, "the machine stood still", hard=False),
        _unattributed(facts, limits.unattributed_max),
    )


def reasons(found: Sequence[Gate]) -> tuple[str, ...]:
    """Why a cell is invalid, one sentence per failed hard gate; empty: valid."""
    return tuple(_reason(gate) for gate in found if gate.hard and not gate.ok)


def _reason(gate: Gate) -> str:
    if gate.name.endswith("_alive"):
        return gate.said
    return "%s: %.4g, limit %.4g (%s)" % (gate.name, gate.value, gate.limit, gate.said)


def _alive(role: str, ended: str) -> Gate:
    return Gate("%s_alive" % role, not ended, 0.0 if ended else 1.0, 1.0, "%s %s" % (role, ended) if ended else "")


def _unattributed(facts: Facts, limit: float) -> Gate:
    """CPU that no role owns: kernel threads, interrupts, and whatever else runs on a machine that is not only ours."""
    owned = sum(u.user_s + u.system_s for u in facts.usage)
    rest = max(0.0, facts.busy_s - owned)
    share = _ratio(rest, facts.busy_s)
    quiet = facts.busy_s < BUSY_FLOOR * facts.window_s * max(1, facts.cpus)
    return Gate(
        "unattributed", quiet or share <= limit, share, limit, "share of busy CPU that no role owns", hard=False
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
