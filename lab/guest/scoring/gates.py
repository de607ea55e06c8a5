"""The validity of a cell: every gate with its value and limit, and the figures that it affects. Pure, so that the
verdict can judge again.

A missed hard gate voids only the families of figures that it affects, and the cell is rerun once; a soft one is
printed beside the figure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.guest.wire import Gate, Gates, RequestSpec, Usage

FAMILIES = ("spans", "cpu", "memory", "latency")
EVERYTHING = frozenset(FAMILIES)
# The families that each gate affects; a gate that is not listed (of a newer guest half) affects all.
TOUCHES = {
    "load_alive": EVERYTHING,
    "service_alive": EVERYTHING,
    "agent_alive": EVERYTHING,
    "sink_alive": EVERYTHING,
    "completed": EVERYTHING,  # the traffic was incomplete, and so is every count of it
    "errors": EVERYTHING,
    "build_id": EVERYTHING,
    "clock_step": EVERYTHING,
    "steal": frozenset({"cpu", "latency"}),
    "pause": frozenset({"cpu", "latency"}),
    "unattributed": frozenset({"cpu"}),
    "late": frozenset({"latency"}),
    "load_cpu": frozenset({"latency"}),
    "spans_still": frozenset({"spans"}),
    "sink_dropped": frozenset({"spans"}),
}
LATE_FLOOR_NS = 1_000_000  # a send is late beyond this or 1 % of the cell's median latency
MEDIAN_MIN = 5  # answers of one request type: fewer have no median
PAUSE_MAX_S = 2.0  # a longer gap between samples: the machine was paused
BUSY_FLOOR = 0.02  # below this share of all CPUs, "unattributed" is noise of the counters' resolution


@dataclass(frozen=True)
class Facts:
    """The inputs of the gates, for one cell."""

    scheduled: int
    completed: int
    late: int
    late_shift: float  # how much the late sends moved the median latency, as a share of it
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
    build_id: str  # expected; empty: the service reports none
    spans_still: bool
    sink_dropped: int
    usage: Sequence[Usage] = field(default=())
    service_exit: str = ""  # "" while alive, else how it ended
    agent_exit: str = ""
    sink_exit: str = ""
    load_failed: str = ""


def gates(facts: Facts, limits: Gates) -> tuple[Gate, ...]:
    """All gates of one cell, hard ones first."""
    wrong = sum(n for value, n in facts.build_ids.items() if value != facts.build_id) if facts.build_id else 0
    unreported = bool(facts.build_id) and not facts.build_ids and facts.completed > 0
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
            facts.late_shift <= limits.late_shift_max,
            facts.late_shift,
            limits.late_shift_max,
            "%d of %d sends left late and raise the median latency by this share" % (facts.late, facts.scheduled),
            hard=limits.late_hard,
        ),
        Gate("errors", facts.unexpected == 0, facts.unexpected, 0.0, "answers with an unexpected status"),
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
            wrong == 0 and not unreported,
            float(wrong),
            0.0,
            "answers of another build than %s" % facts.build_id,
        ),
        Gate(
            "spans_still", facts.spans_still, 0.0 if facts.spans_still else 1.0, 0.0, "1: spans arrived after the drain"
        ),
        Gate("sink_dropped", facts.sink_dropped == 0, facts.sink_dropped, 0.0, "posts or spans the sink refused"),
        Gate("pause", facts.pause_s <= PAUSE_MAX_S, facts.pause_s, PAUSE_MAX_S, "seconds without a sample", hard=False),
        _unattributed(facts, limits.unattributed_max),
    )


def with_late_spans(found: Sequence[Gate], late: int) -> tuple[Gate, ...]:
    """The gates of a cell after spans of its window arrived when it was published already."""
    gate = Gate("spans_still", False, float(late), 0.0, "spans of this cell arrived after its drain")
    return tuple(gate if one.name == gate.name else one for one in found)


@dataclass(frozen=True)
class Validity:
    """The validity of a cell. void: family -> one sentence per missed gate; other families are valid."""

    void: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return not self.void

    def holds(self, *families: str) -> bool:
        return self.void.keys().isdisjoint(families)

    def but(self, family_void: Iterable[str], *reasons: str) -> Validity:
        """A copy with these families also void for these reasons; lists each reason once."""
        void = dict(self.void)
        for family in (name for name in FAMILIES if name in set(family_void)):
            void[family] = tuple(dict.fromkeys((*void.get(family, ()), *reasons)))
        return Validity(void)


def validity(found: Sequence[Gate]) -> Validity:
    """The validity of a cell by its gates."""
    out = Validity()
    for gate in found:
        if gate.hard and not gate.ok:
            out = out.but(TOUCHES.get(gate.name, EVERYTHING), _reason(gate))
    return out


def reasons(found: Sequence[Gate]) -> tuple[str, ...]:
    """One sentence per missed hard gate; empty: every figure of the cell is valid."""
    return tuple(_reason(gate) for gate in found if gate.hard and not gate.ok)


# --- lateness --------------------------------------------------------------------------------------------------------


def late_sends(rows: Sequence[tuple[Any, ...]]) -> tuple[int, float]:
    """The number of late sends, and the limit in nanoseconds beyond which a send of this cell is late.

    rows: intended_ns, start_ns, end_ns, status, type, and further columns.
    """
    taken = sorted(row[2] - row[0] for row in rows)
    limit = max(float(LATE_FLOOR_NS), 0.01 * percentile(taken, 0.5)) if taken else float(LATE_FLOOR_NS)
    return sum(row[1] - row[0] > limit for row in rows), limit


def late_shift(
    rows: Sequence[tuple[Any, ...]], specs: Sequence[RequestSpec], quantile: float = 0.5, fewest: int = MEDIAN_MIN
) -> float:
    """The change of this latency percentile by late sends, as a share of it.

    Latency counts from the intended time, so it includes lateness. Compares with the same figure with late sends
    counted from when they left: per request type, combined as the verdict combines types. The number of late sends
    alone does not show the effect: a few among hundreds hardly move a median.
    """
    wanted = {spec.type: frozenset(spec.status) for spec in specs if not spec.expect_timeout}
    late, limit = late_sends(rows)
    if not late:
        return 0.0
    full: dict[str, list[int]] = {}
    bare: dict[str, list[int]] = {}
    for row in rows:
        intended, start, end, status, kind = row[:5]
        if status in wanted.get(kind, frozenset()):
            full.setdefault(kind, []).append(end - intended)
            bare.setdefault(kind, []).append(end - (start if start - intended > limit else intended))
    logs = [
        math.log(
            max(1.0, percentile(sorted(full[kind]), quantile)) / max(1.0, percentile(sorted(bare[kind]), quantile))
        )
        for kind in full
        if len(full[kind]) >= fewest
    ]
    return math.expm1(sum(logs) / len(logs)) if logs else 0.0


def percentile(ordered: Sequence[float], quantile: float) -> float:
    """Linear interpolation between closest ranks (type 7, numpy's default). `ordered` must be sorted, not empty."""
    place = (len(ordered) - 1) * quantile
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _reason(gate: Gate) -> str:
    if gate.name.endswith("_alive"):
        return gate.said
    return "%s: %.4g, limit %.4g (%s)" % (gate.name, gate.value, gate.limit, gate.said)


def _alive(role: str, ended: str) -> Gate:
    return Gate("%s_alive" % role, not ended, 0.0 if ended else 1.0, 1.0, "%s %s" % (role, ended) if ended else "")


def _unattributed(facts: Facts, limit: float) -> Gate:
    """CPU that no role owns: kernel threads, interrupts, and other programs on a shared machine."""
    owned = sum(u.user_s + u.system_s for u in facts.usage)
    rest = max(0.0, facts.busy_s - owned)
    share = _ratio(rest, facts.busy_s)
    quiet = facts.busy_s < BUSY_FLOOR * facts.window_s * max(1, facts.cpus)
    return Gate(
        "unattributed", quiet or share <= limit, share, limit, "share of busy CPU that no role owns", hard=False
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
