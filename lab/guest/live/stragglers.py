"""Spans of a load that ended before they were all in the sink: none of them is counted in the next load.

A process sends its spans in batches, the last one up to an export interval after its last request. A load that is
stopped does not wait for it.
"""

from __future__ import annotations

import select
import time
from collections.abc import Sequence

from lab.guest.live.orders import Orders
from lab.guest.run.context import RunContext
from lab.guest.run.life import Running

LOOK_S = 0.1
LONGEST = 2  # times as long as spans may take: a form that sends for ever holds up no load


def expect_stragglers(forms: Sequence[Running]) -> None:
    """A load on these forms has just ended, before all its spans came."""
    for running in forms:
        running.stopped_s = time.monotonic()


def let_arrive(context: RunContext, orders: Orders, forms: Sequence[Running]) -> None:
    """Wait until no more spans of an earlier load can come. Raises OrderStopped, Stopped."""
    quiet_s = context.plan.timeouts.quiet_s
    moved = {one.id: one.stopped_s for one in forms if one.stopped_s is not None}
    left = [one for one in forms if one.id in moved]
    counts = {one.id: one.sink.count() for one in left}
    ends = time.monotonic() + LONGEST * quiet_s
    while left and time.monotonic() < ends:
        orders.check()
        for one in left:
            count = one.sink.count()
            if count != counts[one.id]:
                counts[one.id], moved[one.id] = count, time.monotonic()
        left = [one for one in left if time.monotonic() - moved[one.id] < quiet_s and not one.broken()]
        if left:
            select.select([orders.woken], [], [], LOOK_S)
    for one in forms:
        one.stopped_s = None
