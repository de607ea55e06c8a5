"""One form under load: what its processes use, what was answered, and how many spans that is to give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.guest.linux.procfs import cpu_s, rss_mib, waited_s
from lab.guest.run.context import RunContext
from lab.guest.run.life import Running
from lab.guest.scoring.trees import TypeTree, surely_received, type_trees


@dataclass
class Meter:
    """What one form's processes have used, by role. Those that they start later are not among them."""

    pids: dict[str, list[int]]
    last: dict[int, float] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)
    waited: dict[str, float] = field(default_factory=dict)  # when it began

    def cpu(self) -> dict[str, float]:
        for pid in [pid for pids in self.pids.values() for pid in pids]:
            used = cpu_s(pid)
            self.last[pid] = self.last.get(pid, 0.0) if used is None else used
        return {role: sum(self.last[pid] for pid in pids) for role, pids in self.pids.items()}

    def rss(self) -> dict[str, float]:
        return {role: round(sum(map(rss_mib, pids)), 2) for role, pids in self.pids.items()}

    def wait(self) -> dict[str, float]:
        """Since it began, of threads that are there now."""
        now = {role: sum(map(waited_s, pids)) for role, pids in self.pids.items()}
        self.waited = self.waited or now
        return {role: round(max(0.0, now[role] - self.waited[role]), 4) for role in now}


@dataclass
class Lane:
    """One form under load."""

    running: Running
    wanted: dict[str, int]  # spans of one request of each type, by the reference
    expected: dict[str, float]  # and by what is known of this form
    meter: Meter
    spans_before: int
    cpu: dict[str, float] = field(default_factory=dict)  # at the last window's end
    done: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: {"sent": 0, "errors": 0, "late": 0})
    builds: dict[str, int] = field(default_factory=dict)
    spans: int = 0

    def add(self, tally: dict[str, Any]) -> None:
        for name in self.counts:
            self.counts[name] += int(tally[name])
        for there, more in ((self.done, tally.get("by_type")), (self.builds, tally.get("builds"))):
            for name, count in (more or {}).items():
                there[name] = there.get(name, 0) + int(count)

    def look(self) -> None:
        count = self.running.sink.count()
        self.spans = self.spans if count is None else max(0, count - self.spans_before)

    def of(self, each: dict[str, int] | dict[str, float]) -> int:
        return int(sum(each.get(kind, 0) * count for kind, count in self.done.items()))


def per_request(tree: TypeTree, running: Running) -> float:
    """Spans expected of this form for every request of this type."""
    if running.form.proof != "some":
        return 0.0
    nodes = [(node.count_min, tree.expectation(node.id)) for node in tree.nodes.values()]
    return sum(count * (rule.min_ratio if rule.mode == "range" else 1.0) for count, rule in nodes if _sure(rule))


def _sure(rule: Any) -> bool:
    return surely_received(rule) or rule.mode == "range"


def lane_of(context: RunContext, running: Running, there: dict[int, list[int]]) -> Lane:
    """A lane that begins now. there: every session's processes."""
    trees = type_trees(context.plan.reference, running.form.expected)
    parts = {"service": running.services, "agent": running.agents, "sink": [running.sink.child]}
    meter = Meter({role: [pid for c in children for pid in there.get(c.pid, [])] for role, children in parts.items()})
    lane = Lane(
        running=running,
        wanted={name: sum(node.count_min for node in tree.nodes.values()) for name, tree in trees.items()},
        expected={name: per_request(tree, running) for name, tree in trees.items()},
        meter=meter,
        spans_before=running.sink.count() or 0,
        cpu=meter.cpu(),
    )
    meter.began = lane.cpu
    meter.wait()
    return lane
