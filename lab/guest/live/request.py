"""One request into several forms, and their spans as they arrive."""

from __future__ import annotations

import select
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

from lab.guest.linux.child import Child
from lab.guest.linux.line_stream import LineStream
from lab.guest.linux.waiting import CalmClock
from lab.guest.live.orders import Orders, OrderStopped
from lab.guest.run.context import LifeFailed, RunContext
from lab.guest.run.life import Running
from lab.guest.run.load import generator
from lab.guest.scoring.proof import SLACK_NS, judge_none
from lab.guest.scoring.trees import TypeTree, assign, fragments, surely_received, type_trees
from lab.guest.wire import CellPlan, Span, decode
from lab.guest.wire.answer import said
from lab.guest.wire.live import Answered, Order, PartEnded, RequestEnded, SpanSeen
from lab.guest.wire.waits import longest_request_s

LOOK_S = 0.1  # how soon a process that ended is noticed
LINGER_S = 0.5  # after the last span that must come: others may
PATIENT_S = 3.0  # for spans that must come: an export waits for its batch, and after a restore for the disk
SILENT = 0.5  # of what a first proof waits for spans that must not come: this form was silent then


@dataclass
class SentRequest:
    """One form with its request: the answer, and the spans that arrived."""

    running: Running
    tree: TypeTree
    stream: LineStream | None = None  # None: its sink cannot be followed
    answer: Answered | None = None
    early: list[Span] = field(default_factory=list)  # came before the answer, which says when the request began
    spans: list[Span] = field(default_factory=list)
    moved_s: float = 0.0  # when the answer or the last span came
    end: RequestEnded | None = None  # what would be told if no more came

    def after_s(self, which: Callable[[list[int]], int]) -> float | None:
        """From the request to the first (min) or last (max) span in the sink."""
        if self.answer is None or not self.spans:
            return None
        return (which([span.received_ns for span in self.spans]) - self.answer.start_ns) / 1e9


def sure(tree: TypeTree) -> dict[str, int]:
    """Node id -> spans that every request gives in this form, not only the first ones of a fresh agent."""
    nodes = tree.nodes.values()
    return {node.id: node.count_min for node in nodes if node.count_min and surely_received(tree.expectation(node.id))}


def limit_s(context: RunContext, order: Order) -> float:
    """After which a request has ended in any case."""
    times = context.plan.timeouts
    return times.ready_s + longest_request_s(context.plan) + (order.limit_s or times.first_span_s)


class LiveRequest:
    """Sends it and tells what comes. `ended` gets the end of every form, once, whatever happens."""

    def __init__(
        self, context: RunContext, orders: Orders, order: Order, ended: Callable[[RequestEnded], None]
    ) -> None:
        self.context, self.orders, self.order, self.ended = context, orders, order, ended
        self.kind = order.request or context.plan.canary[0]
        self.clock = CalmClock()

    def run(self, forms: Sequence[Running]) -> None:
        """Raises OrderStopped, Stopped."""
        with ExitStack() as stack:
            asked: dict[str, SentRequest] = {}
            for running in forms:
                tree = type_trees(self.context.plan.reference, running.form.expected)[self.kind]
                one = SentRequest(running, tree)
                try:
                    one.stream = stack.enter_context(closing(running.sink.spans()))
                    asked[running.id] = one
                except LifeFailed as failure:
                    self._end(one, self._part_ended(one) or str(failure))
            if not asked:
                return
            cell = CellPlan("request", "", 1.0, self.context.plan.seed, 0, 1)
            options = ["--once", self.kind, "--index", str(self.order.index)]
            options += ["--at-once"] if self.order.at_once else []
            ports = {name: one.running.target for name, one in asked.items()}
            load, lines = stack.enter_context(generator(self.context, ports, cell, options))
            try:
                self._follow(asked, load, lines)
            except OrderStopped:
                for one in asked.values():
                    self._end(one, "stopped by request")
                raise

    def _follow(self, asked: dict[str, SentRequest], load: Child, lines: LineStream) -> None:
        ends = self.clock() + limit_s(self.context, self.order)
        while asked:
            streams = [*(one.stream for one in asked.values()), lines]
            inputs: list[Any] = [stream for stream in streams if stream is not None and not stream.closed]
            select.select([self.orders.woken, *inputs], [], [], LOOK_S)
            self.orders.check()
            for doc in lines.read():
                if doc.get("target") in asked:
                    self._answered(asked[doc["target"]], doc)
            for name, one in list(asked.items()):
                self._arrived(one, [decode(Span, doc) for doc in one.stream.read()] if one.stream else [])
                why = self._part_ended(one) or self._unsent(one, load, lines.closed)
                late = self.clock() > ends
                if why or late or self._over(one):
                    self._end(one, why or ("not answered in time" if late and one.answer is None else ""))
                    del asked[name]

    def _answered(self, one: SentRequest, doc: dict[str, Any]) -> None:
        one.answer = Answered(
            order=self.order.id,
            at_ns=time.time_ns(),
            form=one.running.id,
            request=self.kind,
            index=self.order.index,
            request_id=str(doc["request_id"]),
            trace_id=str(doc["trace_id"]),
            status=int(doc["status"]),
            ok=bool(doc["expected"]),
            build_id=str(doc["headers"].get("build", "")),
            start_ns=int(doc["start_ns"]),
            latency_ns=int(doc["end_ns"]) - int(doc["start_ns"]),
        )
        one.moved_s = self.clock()
        self.orders.tell(one.answer)
        early, one.early = one.early, []
        self._arrived(one, early)

    def _arrived(self, one: SentRequest, spans: list[Span]) -> None:
        if one.answer is None:
            one.early += spans
            return
        fresh = [span for span in spans if span.start_ns >= one.answer.start_ns - SLACK_NS]  # not an earlier request's
        for span in fresh:
            self.orders.tell(SpanSeen(order=self.order.id, at_ns=time.time_ns(), form=one.running.id, span=span))
        if fresh:
            one.moved_s = self.clock()
            one.spans += fresh
        if fresh or one.end is None:
            one.end = self._judged(one)

    def _over(self, one: SentRequest) -> bool:
        """Whether all came that must come, or nothing did for long enough."""
        if one.end is None:
            return False
        times, quiet_s = self.context.plan.timeouts, self.clock() - one.moved_s
        if one.running.form.proof != "some":
            return quiet_s > times.quiet_s * SILENT
        if one.end.ok:
            return quiet_s > LINGER_S
        return quiet_s > (
            self.order.limit_s or (max(PATIENT_S, times.quiet_s) if one.spans else times.first_span_s / 3)
        )

    def _part_ended(self, one: SentRequest) -> str:
        for role in ("service", "agent", "sink"):
            how = one.running.ended(role)
            if how:
                self.orders.tell(PartEnded(self.order.id, time.time_ns(), one.running.id, role, how))
                return how
        return ""

    def _unsent(self, one: SentRequest, load: Child, over: bool) -> str:
        if over and one.answer is None:
            return "the request could not be sent: %s" % (load.said().strip()[-300:] or load.ended())
        return ""

    def _judged(self, one: SentRequest, why: str = "") -> RequestEnded:
        """What came against the reference and against what is known of this form."""
        form, tree, result = one.running.form, one.tree, assign(fragments(one.spans), one.tree)
        seen, some = Counter(result.node_of.values()), form.proof == "some"
        must = sure(tree) if some and form.expected.known else {}
        lacking = tuple(node for node, count in sorted(must.items()) if seen[node] < count)
        wrong = sorted({result.node_of[span] for span, ok in result.as_expected.items() if not ok})
        received = {(span.trace_id, span.span_id) for span in one.spans}
        lost = [span for span in one.spans if span.parent_id and (span.trace_id, span.parent_id) not in received]
        orphans = tuple(dict.fromkeys(span.span_id for span in lost))
        elsewhere = {span for span, ok in result.parent_ok.items() if not ok}
        if not why and one.answer is not None and not one.answer.ok:
            why = said(self.kind, one.answer.status)
        if not why and some and form.expected.known:
            why = "; ".join(
                ["no span for %s" % ", ".join(lacking)] * bool(lacking)
                + ["wrong parent of %s" % ", ".join(wrong)] * bool(wrong)
            )
        elif not why:
            why = judge_none(one.spans) if not some else "" if one.spans else "no span arrived"
        return RequestEnded(
            order=self.order.id,
            at_ns=time.time_ns(),
            form=one.running.id,
            ok=not why,
            reason=why,
            wanted=sum(node.count_min for node in tree.nodes.values()),
            expected=sum(must.values()),
            seen=len(received),
            missing=tuple(node.id for node in tree.nodes.values() if seen[node.id] < node.count_min),
            unexpected_missing=lacking,
            wrong_parent=tuple(sorted({result.node_of[span] for span in elsewhere})),
            parent_missing=orphans,
            misplaced=len(elsewhere.union(orphans)),
            instrumented=some,
            node_of=result.node_of,
            first_span_s=one.after_s(min),
            last_span_s=one.after_s(max),
        )

    def _end(self, one: SentRequest, why: str) -> None:
        self.ended(self._judged(one, why))
