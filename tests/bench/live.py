"""Orders to standby forms: how soon they begin and are answered, the windows of a load, what following costs.

The machine has forms on standby: `lab snapshot --form …`, or `standby.start` where its provider has no snapshots.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import Final

from lab.flows import live
from lab.guest.wire.live import Answered, MachineWindow
from lab.machines import lifecycle
from lab.model.errors import PreconditionError
from lab.model.lab import Lab
from lab.system.wait import Deadline
from tests.bench.figure import Figure

RATE_RPS: Final = 5.0
LOAD_S: Final = 10.0
# CPU nanoseconds of the shell and the tail of every order session in the machine
FOLLOWERS: Final = (
    'n=0; for pid in $(pgrep -f "standby/guest/[e]vents.jsonl"); do '
    'read -r used _ < "/proc/$pid/schedstat" && n=$((n + used)); done; echo $n'
)


def measure(lab: Lab, runs: int) -> list[Figure]:
    """Requests into one form, then one load into all."""
    name = lab.config.machine.name
    found = lifecycle.machine(lab, name)
    if found is None:
        raise PreconditionError(f"no machine {name}", fix=f"lab up {name}")
    first: list[float] = []
    answered: list[float] = []
    with live.opened(lab, name) as cast, lifecycle.connected(lab, found) as link:

        def followers_s() -> float:
            return float(link.run(["sh", "-c", FOLLOWERS], Deadline.after(60, lab.cancel)).text()) / 1e9

        for _ in range(runs):
            began = time.monotonic()
            order = cast.request(cast.requests[0], cast.forms[:1])
            next(order)
            first.append(time.monotonic() - began)
            answered += [time.monotonic() - began for event in order if isinstance(event, Answered)]
        before = followers_s()
        windows: list[MachineWindow] = []
        came: list[float] = []
        for event in cast.load(cast.forms[:4], rate_rps=RATE_RPS, seconds=LOAD_S):
            if isinstance(event, MachineWindow):
                windows.append(event)
                came.append(time.monotonic())
        following = (followers_s() - before) / len(windows)
    full = windows[: int(LOAD_S / 0.5)]
    return [
        Figure(name="order to first event", samples=tuple(first)),
        Figure(name="order to the answer of one request", samples=tuple(answered)),
        Figure(name="window, by the machine's clock", samples=tuple(one.seconds for one in full)),
        Figure(name="window, here", samples=tuple(b - a for a, b in itertools.pairwise(came))),
        Figure(name="standby process, CPU a window", samples=_ms(one.lab_cpu_s for one in full), unit="ms"),
        Figure(name="following, CPU a window", samples=_ms([following]), unit="ms"),
        Figure(name="sentinel", samples=_ms(one.sentinel_s for one in full), unit="ms"),
    ]


def _ms(seconds: Iterable[float]) -> tuple[float, ...]:
    return tuple(value * 1e3 for value in seconds)
