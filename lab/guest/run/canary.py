"""The first-span barrier and the proof of a form, before any load."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from lab.guest.linux.waiting import CalmClock, until
from lab.guest.run.context import LifeFailed, RunContext
from lab.guest.run.life import Running
from lab.guest.run.load import send_once
from lab.guest.run.sink import read_spans
from lab.guest.scoring.proof import Sent, differences, judge_none, judge_some, read_canaries, required
from lab.guest.scoring.trees import type_trees
from lab.guest.wire import Canary, CanaryRequest, Span
from lab.guest.wire.answer import as_wanted, said


@dataclass
class SentCanaries:
    """Canary requests that were sent, and the unexpected ends of them.

    count: spans in the sink at the last answer; at: its time by the monotonic clock, in seconds.
    """

    sent: list[Sent]
    wrong: list[str]
    count: Optional[int] = None
    at: float = 0.0


def prove(context: RunContext, running: Running) -> Canary:
    """Send one request of each canary type and judge the spans. Raises LifeFailed only when nothing can be sent."""
    canary = judge(context, running, send(context, running, context.plan.canary))
    running.first_span_s = canary.first_span_s
    return canary


def send(context: RunContext, running: Running, kinds: Sequence[str]) -> SentCanaries:
    """One request of each type. Raises LifeFailed."""
    plan = context.plan
    canaries = SentCanaries(sent=[], wrong=[])
    wanted = {spec.type: spec for spec in plan.requests}
    for index, kind in enumerate(kinds):
        request, _ = send_once(context, running.work, running.target, kind, index, plan.seed)
        canaries.sent.append(request)
        if not as_wanted(wanted[kind], request.status):
            canaries.wrong.append(said(kind, request.status))
    canaries.count, canaries.at = running.sink.count(), time.monotonic()
    return canaries


def judge(context: RunContext, running: Running, asked: SentCanaries, quiet_s: Optional[float] = None) -> Canary:
    """Wait for the spans of these requests and compare them with the form's expectation.

    quiet_s: how long no span may arrive after the last answer, where none or no more are expected; None: the plan's.
    """
    form, sent = running.form, asked.sent
    requests, start_spans, reason = _judged(context, running, asked, quiet_s or context.plan.timeouts.quiet_s)
    reason = "; ".join([*asked.wrong, reason] if reason else asked.wrong)
    first = None
    if form.proof == "some" and sent:
        arrived = [s.received_ns for r in requests for s in r.spans]
        first = (min(arrived) - sent[0].start_ns) / 1e9 if arrived else None
    return Canary(
        form=form.name,
        ok=not reason,
        reason=reason,
        requests=requests,
        first_span_s=first,
        start_spans=start_spans,
        gaps="" if form.expected.known else differences(requests),
    )


def _judged(
    context: RunContext, running: Running, asked: SentCanaries, quiet_s: float
) -> tuple[tuple[CanaryRequest, ...], int, str]:
    """Collect spans until the proof holds, no more arrive, or the deadline passes."""
    plan, form, sent = context.plan, running.form, asked.sent
    trees = type_trees(plan.reference, form.expected)
    needed = sum(sum(required(trees[s.type]).values()) for s in sent) if form.proof == "some" else 0
    if form.proof == "some" and not form.expected.known:
        needed = max(1, needed)
    ends = time.monotonic() + plan.timeouts.first_span_s
    spans: list[Span] = []
    last, since = asked.count, asked.at
    while True:
        wanted = needed - len(spans)
        if spans and not form.expected.known:
            wanted = 0  # their number is unknown: wait until no more arrive
        fresh = _collect(context, running, wanted, quiet_s, last, since)
        last, since = -1, time.monotonic()
        spans += fresh
        requests, start_spans = read_canaries(spans, sent, trees, form.expected)
        whole = form.proof != "some" or not differences(requests)
        if not needed or whole or not fresh or time.monotonic() > ends:
            reason = judge_some(requests, form.expected) if form.proof == "some" else judge_none(spans)
            return requests, start_spans, reason


def _collect(
    context: RunContext, running: Running, wanted: int, quiet_s: float, last: Optional[int], since: float
) -> list[Span]:
    """Spans since the last call: waits for as many as wanted, else until their count is stable.

    The count was `last` at the monotonic time `since`.
    """
    timeouts, clock = context.plan.timeouts, CalmClock()

    def arrived() -> str:
        count, now = running.sink.count(), clock()
        nonlocal last, since
        if count != last:
            last, since = count, now
        if count is None or count >= wanted > 0 or running.broken():
            return "there"
        stalled_s = quiet_s if wanted <= 0 or count else timeouts.first_span_s / 3
        return "still" if now - since > stalled_s else ""

    until(context.cancel, arrived, timeouts.first_span_s, 0.1)
    broken = running.broken()
    if broken:
        raise LifeFailed("%s while the form was proven" % broken)
    closed = running.sink.file
    if not rotate(running):
        raise LifeFailed("the span sink does not rotate its file")
    return list(read_spans(closed))


def rotate(running: Running) -> bool:
    """Start a new file, so that earlier spans are not counted for the next request."""
    number = len(list(running.work.glob("early-*.spans.jsonl.gz")))
    return running.sink.rotate(running.work / ("early-%d.spans.jsonl.gz" % number))
