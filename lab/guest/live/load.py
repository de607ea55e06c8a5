"""A duet: one stream of requests into several forms at once, reported window by window."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence
from typing import Any

from lab.guest.linux.accounts import ROLES, throttled_s
from lab.guest.linux.child import Child
from lab.guest.linux.line_stream import LineStream
from lab.guest.linux.procfs import cpu_s, pressure, sessions, system_times
from lab.guest.linux.sampler import sentinel
from lab.guest.linux.waiting import CalmClock
from lab.guest.live.orders import Orders, OrderStopped
from lab.guest.live.request import PATIENT_S
from lab.guest.live.stragglers import expect_stragglers, let_arrive
from lab.guest.run.context import RunContext
from lab.guest.run.lane import Lane, lane_of
from lab.guest.run.life import Running
from lab.guest.run.load import STOP_S, generator
from lab.guest.wire import COUNTED, CellPlan
from lab.guest.wire.live import WINDOW_S, FormWindow, LoadEnded, MachineWindow, Order, PartEnded
from lab.guest.wire.waits import held_up_s, longest_request_s

LOOK_S = 0.25  # how soon a process that ended is noticed
EXPORT_S = 1.5  # longer than the export interval of a span batch
HUNG_S = 10.0  # a load generator that prints no window for so long is stuck
SENTINEL_ROUNDS = 1000  # few: it runs in the middle of what it watches
NOTHING: dict[str, Any] = {"sent": 0, "done": 0, "errors": 0, "late": 0, "in_flight": 0, "p50_ns": None, "p99_ns": None}


def planned_s(context: RunContext, order: Order, forms: int) -> float:
    """Until the last answer. A request that waits for the one before it, as in a counted machine, takes longer than its
    rate."""
    plan, seconds = context.plan, order.requests / max(order.rate_rps, 0.001)
    in_turn = (4.0 * seconds + held_up_s(plan, order.requests)) * forms
    return (in_turn if plan.clock == COUNTED else 1.5 * seconds) + longest_request_s(plan)


def limit_s(context: RunContext, order: Order, forms: int) -> float:
    times = context.plan.timeouts
    return planned_s(context, order, forms) + times.ready_s + longest_request_s(context.plan) + times.drain_s


class LiveLoad:
    """Runs the generator and tells each window; one form's end leaves the others under load."""

    def __init__(self, context: RunContext, orders: Orders, order: Order) -> None:
        self.context, self.orders, self.order = context, orders, order
        self.ok = True
        self.windows = 0
        self.lanes: dict[str, Lane] = {}
        self.busy: dict[str, float] = {}

    def run(self, forms: Sequence[Running]) -> None:
        """Raises OrderStopped, Stopped."""
        let_arrive(self.context, self.orders, forms)
        processes = sessions()
        self.lanes = {running.id: lane_of(self.context, running, processes) for running in forms}
        order, ports = self.order, {one.id: one.target for one in forms}
        cell = CellPlan("live", "", order.rate_rps, order.seed, 0, order.requests)
        with generator(self.context, ports, cell, ["--windows", "%dms" % (WINDOW_S * 1000)]) as (load, lines):
            self._machine()
            total: dict[str, Any] = {}
            try:
                total = self._follow(load, lines)
                if not self._drain():
                    expect_stragglers(forms)
            except OrderStopped:
                load.stop(STOP_S)  # it prints its total within its grace, unless it had ended
                total = total or next((doc for doc in lines.read() if doc.get("ended")), {})
                self._end_all(total, "stopped by request")
                expect_stragglers(forms)
                raise
            self._end_all(total, "" if total else "the load generator ended early")

    # --- while the load runs ------------------------------------------------------------------------------------------

    def _follow(self, load: Child, lines: LineStream) -> dict[str, Any]:
        """Until the generator has printed its total; {} when it ended without, or hung."""
        clock = CalmClock()
        printed = clock()
        ends = printed + planned_s(self.context, self.order, len(self.lanes)) + self.context.plan.timeouts.ready_s
        while self.lanes:
            inputs: list[Any] = [self.orders.woken, lines]
            select.select(inputs, [], [], LOOK_S)
            self.orders.check()
            now = clock()
            for doc in lines.read():
                if doc.get("ended"):
                    return doc
                printed = now
                self._window(doc)
            self._broken()
            how = "exited with code %d" % load.stop(STOP_S) if lines.closed else ""
            if now - printed > HUNG_S or now > ends:
                how = "it printed no window for %g s" % HUNG_S if now < ends else "it did not end in time"
            if how:
                load.kill()
                said = load.said().strip()[-300:]
                how += ": %s" % said if said else ""
                self.orders.tell(PartEnded(self.order.id, time.time_ns(), "", "load", how))
                return {}
        return {}

    def _drain(self) -> bool:
        """Windows without load until every span is there, or no more come; False where they still came at the end."""
        clock = CalmClock()
        ends = clock() + self.context.plan.timeouts.drain_s
        moved: dict[str, tuple[int, float]] = {}
        while self.lanes and (now := clock()) < ends:
            next_s = time.monotonic() + WINDOW_S
            for name, lane in self.lanes.items():
                if moved.get(name, (-1, 0.0))[0] != lane.spans:
                    moved[name] = (lane.spans, now)
            if all(self._quiet(lane, now - moved[name][1]) for name, lane in self.lanes.items()):
                return True
            while time.monotonic() < next_s:
                select.select([self.orders.woken], [], [], max(0.0, min(LOOK_S, next_s - time.monotonic())))
                self.orders.check()
            self._window({"window": self.windows, "seconds": WINDOW_S, "cpu_s": 0.0, "forms": {}}, draining=True)
            self._broken()
        return not self.lanes

    def _quiet(self, lane: Lane, still_s: float) -> bool:
        """Soon where no more spans come, after an export interval where more may come, later where some must."""
        quiet_s, sure = self.context.plan.timeouts.quiet_s, lane.of(lane.expected)
        if not sure or lane.spans >= lane.of(lane.wanted):
            return still_s >= min(WINDOW_S, quiet_s)
        return still_s >= (min(EXPORT_S, quiet_s) if lane.spans >= sure else max(PATIENT_S, quiet_s))

    def _broken(self) -> None:
        for name, lane in list(self.lanes.items()):
            for role in ("service", "agent", "sink"):
                how = lane.running.ended(role)
                if how and name in self.lanes:
                    self.orders.tell(PartEnded(self.order.id, time.time_ns(), name, role, how))
                    self._end(name, {}, how)

    # --- what is told -------------------------------------------------------------------------------------------------

    def _window(self, doc: dict[str, Any], *, draining: bool = False) -> None:
        self.windows = int(doc["window"]) + 1
        for name, lane in self.lanes.items():
            tally = doc["forms"].get(name, NOTHING)
            lane.add(tally)
            lane.look()
            cpu = lane.meter.cpu()
            used, lane.cpu = {role: max(0.0, cpu[role] - lane.cpu[role]) for role in cpu}, cpu
            self.orders.tell(
                FormWindow(
                    order=self.order.id,
                    at_ns=time.time_ns(),
                    form=name,
                    window=int(doc["window"]),
                    seconds=float(doc["seconds"]),
                    draining=draining,
                    sent=int(tally["sent"]),
                    done=int(tally["done"]),
                    errors=int(tally["errors"]),
                    late=int(tally["late"]),
                    in_flight=int(tally["in_flight"]),
                    p50_ns=tally["p50_ns"],
                    p99_ns=tally["p99_ns"],
                    cpu_s=used,
                    rss_mib=lane.meter.rss(),
                    total_done=sum(lane.done.values()),
                    spans_wanted=lane.of(lane.wanted),
                    spans_expected=lane.of(lane.expected),
                    spans_seen=lane.spans,
                )
            )
        self._machine(doc)

    def _machine(self, doc: dict[str, Any] | None = None) -> None:
        """The machine since the last call; the first call only reads."""
        system = system_times()
        sentinel_s = sentinel(SENTINEL_ROUNDS) if doc else 0.0
        throttled = throttled_s()
        now = {
            "mono": time.monotonic(),
            "busy": system.busy_s,
            "steal": system.steal_s,
            "lab": cpu_s(os.getpid()) or 0.0,
            "ours": sum(sum(self.context.accounts.cpu(role)) for role in ROLES),
            "psi": pressure().get("cpu", -1.0),
            "throttled": -1.0 if throttled is None else throttled,
        }
        before, self.busy = self.busy or now, now
        if not doc:
            return
        used = {name: max(0.0, value - before[name]) for name, value in now.items()}
        self.orders.tell(
            MachineWindow(
                order=self.order.id,
                at_ns=time.time_ns(),
                window=int(doc["window"]),
                seconds=used["mono"],
                mono_ns=time.monotonic_ns(),
                wall_ns=time.time_ns(),
                cpus=os.cpu_count() or 1,
                busy_s=used["busy"],
                steal_s=used["steal"],
                psi_cpu_s=used["psi"] if now["psi"] >= 0 else None,
                load_cpu_s=float(doc["cpu_s"]),
                lab_cpu_s=used["lab"],
                other_cpu_s=max(0.0, used["busy"] - used["ours"] - used["lab"]),
                sentinel_s=sentinel_s,
                throttled_s=used["throttled"] if now["throttled"] >= 0 else None,
            )
        )

    def _end_all(self, total: dict[str, Any], why: str) -> None:
        for name in list(self.lanes):
            self._end(name, total, why)

    def _end(self, name: str, total: dict[str, Any], why: str) -> None:
        lane = self.lanes.pop(name)
        lane.look()
        tally, cpu = total.get("forms", {}).get(name, {}), lane.meter.cpu()
        self.ok = self.ok and not why
        self.orders.tell(
            LoadEnded(
                order=self.order.id,
                at_ns=time.time_ns(),
                form=name,
                ok=not why,
                reason=why,
                seconds=float(total.get("seconds", 0.0)),
                sent=int(tally.get("sent", lane.counts["sent"])),
                done=int(tally.get("done", sum(lane.done.values()))),
                errors=int(tally.get("errors", lane.counts["errors"])),
                late=int(tally.get("late", lane.counts["late"])),
                p50_ns=tally.get("p50_ns"),
                p99_ns=tally.get("p99_ns"),
                cpu_s={role: cpu[role] - lane.meter.began[role] for role in cpu},
                rss_mib=lane.meter.rss(),
                spans_wanted=lane.of(lane.wanted),
                spans_expected=lane.of(lane.expected),
                spans_seen=lane.spans,
                build_ids={
                    str(build): int(count) for build, count in tally.get("builds", lane.builds).items() if build
                },
                wait_s=lane.meter.wait(),
            )
        )
