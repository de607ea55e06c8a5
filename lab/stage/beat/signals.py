"""What is seen beside the figures of a beat: of the machine, the load, the spans, the programs. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, median
from typing import Final, TypeVar

from lab.guest.wire.live import (
    Answered,
    AttachEnded,
    FormWindow,
    LiveEvent,
    LoadEnded,
    MachineWindow,
    PartEnded,
    Proof,
    RequestEnded,
)

T = TypeVar("T")
MEASURED: Final = ("service", "agent")  # whose work a request costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Of one beat. None, or a form that is not named: not known.

    Shares are of all CPUs' time together where CPU is meant. How far the machine's clock is from the host's is no
    signal: a restored machine is behind by the age of its snapshot, and nothing is measured by both clocks.
    """

    steal: float | None = None  # share of the machine's CPU time that its host took
    pressure: float | None = None  # share of the time in which some task waited for a CPU
    others: float | None = None  # share of the machine's CPU time used by what is not ours
    host_others: float | None = None  # the same of the host's CPU time, for what is neither the machine nor ours
    host_waited: float | None = None  # seconds that the machine waited for a CPU of the host, for each that it had one
    sentinel_ms: float | None = None  # a fixed piece of work, median over the windows
    throttled: float | None = None  # share of the machine's CPU time in which a quota held us back
    waited: float | None = None  # seconds that threads of a form waited for a CPU for each that they had one, median
    generator: float | None = None  # CPUs that the load generator used
    late: float | None = None  # share of requests that were sent late
    clock_step_ms: float | None = None  # the largest step of the wall clock against the monotonic one
    trend: float | None = None  # the first third's latency / the last third's, least over the forms
    errors: dict[str, float] = field(default_factory=dict)  # form -> share of answers that are not what is expected
    spans: dict[str, float] = field(default_factory=dict)  # form -> spans seen / spans that it is known to give
    silent_s: dict[str, float] = field(default_factory=dict)  # form -> the longest time without a span
    parents: dict[str, float] = field(default_factory=dict)  # form -> share of spans whose parent is missing or another
    builds: dict[str, tuple[str, ...]] = field(default_factory=dict)  # form -> build ids in its answers
    agents: tuple[str, ...] = ()  # forms in which an agent was at work
    ended: tuple[str, ...] = ()  # processes that ended on their own, as "agent of ebpf: killed by signal 9"


def of(
    events: Iterable[LiveEvent],
    *,
    host_others: float | None = None,
    host_waited: float | None = None,
) -> Signals:
    """Of all events of one beat, in their order. The others: what only the host can see."""
    seen = list(events)
    windows, machine = _all(seen, FormWindow), _all(seen, MachineWindow)
    cpu_s = sum(w.seconds * w.cpus for w in machine)
    wall_s = sum(w.seconds for w in machine)
    pressed = [w.psi_cpu_s for w in machine if w.psi_cpu_s is not None]
    throttled = [w.throttled_s for w in machine if w.throttled_s is not None]
    sent = sum(w.sent for w in windows)
    return Signals(
        steal=_share(sum(w.steal_s for w in machine), cpu_s),
        pressure=_share(sum(pressed), wall_s) if pressed else None,
        others=_share(sum(w.other_cpu_s for w in machine), cpu_s),
        host_others=host_others,
        host_waited=host_waited,
        sentinel_ms=median(w.sentinel_s for w in machine) * 1000 if machine else None,
        throttled=_share(sum(throttled), cpu_s) if throttled else None,
        waited=_waited(_all(seen, LoadEnded)),
        generator=_share(sum(w.load_cpu_s for w in machine), wall_s),
        late=_share(sum(w.late for w in windows), sent),
        clock_step_ms=_step_ms(machine),
        trend=_trend(windows),
        errors=_errors(seen),
        spans=_spans(seen),
        silent_s=_silences(seen),
        parents=_parents(seen),
        builds=_builds(seen),
        agents=_agents(seen),
        ended=tuple(_ended(part) for part in _all(seen, PartEnded)),
    )


def _all(events: Iterable[LiveEvent], kind: type[T]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]


def _ended(part: PartEnded) -> str:
    """Without what it wrote before."""
    how = part.how.partition(": ")[0]
    return f"{part.role} of {part.form}: {how}" if part.form else f"{part.role}: {how}"


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _waited(loads: Sequence[LoadEnded]) -> float | None:
    """The median over the forms: a busy CPU makes all of them wait."""
    found = []
    for load in loads:
        ran = sum(load.cpu_s.get(role, 0.0) for role in MEASURED)
        if load.wait_s and ran:
            found.append(sum(load.wait_s.get(role, 0.0) for role in MEASURED) / ran)
    return median(found) if found else None


def _step_ms(machine: Sequence[MachineWindow]) -> float | None:
    """The largest change of wall minus monotonic time between two windows."""
    ahead = [(w.wall_ns - w.mono_ns) / 1e6 for w in machine]
    return max((abs(b - a) for a, b in pairwise(ahead)), default=None)


def _trend(windows: Sequence[FormWindow]) -> float | None:
    """By form the mean logarithm of the median latency in the first third of its windows against the last third."""
    found = []
    for form in dict.fromkeys(w.form for w in windows):
        logs = [math.log(w.p50_ns) for w in windows if w.form == form and not w.draining and w.p50_ns]
        if third := len(logs) // 3:
            found.append(math.exp(fmean(logs[:third]) - fmean(logs[-third:])))
    return min(found, default=None)


def _errors(events: Sequence[LiveEvent]) -> dict[str, float]:
    """Of loads and of single requests."""
    failed: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    for event in events:
        if isinstance(event, LoadEnded):
            failed[event.form] += event.errors
            answers[event.form] += event.done
        elif isinstance(event, Answered):
            failed[event.form] += not event.ok
            answers[event.form] += 1
    return {form: failed[form] / number for form, number in answers.items() if number}


def _spans(events: Sequence[LiveEvent]) -> dict[str, float]:
    """Over all requests and loads of the beat; a form that is to give none is left out."""
    wanted: Counter[str] = Counter()
    came: Counter[str] = Counter()
    for event in events:
        if isinstance(event, LoadEnded):
            wanted[event.form] += event.spans_expected
            came[event.form] += event.spans_seen
        elif isinstance(event, RequestEnded):
            wanted[event.form] += event.expected
            came[event.form] += event.seen
    return {form: came[form] / number for form, number in wanted.items() if number}


def _silences(events: Sequence[LiveEvent]) -> dict[str, float]:
    """The longest time of a load in which requests were answered and no span came, of forms that are to give some; of
    single requests and attachments: how long the first one took."""
    found: dict[str, float] = {}
    for event in events:
        if isinstance(event, RequestEnded | AttachEnded | Proof) and event.first_span_s is not None:
            found[event.form] = max(found.get(event.form, 0.0), event.first_span_s)
    windows = [w for w in _all(events, FormWindow) if w.spans_expected]
    for form in dict.fromkeys(w.form for w in windows):
        seen, silent = 0, 0.0
        for window in (w for w in windows if w.form == form):
            silent = 0.0 if window.spans_seen > seen else silent + window.seconds if window.done else silent
            seen = window.spans_seen
            found[form] = max(found.get(form, 0.0), silent)
    return found


def _agents(events: Sequence[LiveEvent]) -> tuple[str, ...]:
    """Forms whose agent used something, was attached, or ended: the account of each form has an agent's place."""
    found: set[str] = set()
    for event in events:
        if isinstance(event, FormWindow | LoadEnded):
            form, there = event.form, event.cpu_s.get("agent", 0.0) > 0 or event.rss_mib.get("agent", 0.0) > 0
        elif isinstance(event, AttachEnded | Proof):
            form, there = event.form, event.attach_s is not None
        elif isinstance(event, PartEnded):
            form, there = event.form, event.role == "agent"
        else:
            continue
        if there:
            found.add(form)
    return tuple(sorted(found))


def _parents(events: Sequence[LiveEvent]) -> dict[str, float]:
    """Of the spans of single requests: those below another span than in the reference, or below none that came.

    A request of which spans are missing tells nothing: a dropped span is no span's parent.
    """
    wrong: Counter[str] = Counter()
    came: Counter[str] = Counter()
    for event in events:
        if isinstance(event, RequestEnded) and event.misplaced is not None and event.seen >= event.expected:
            wrong[event.form] += event.misplaced
            came[event.form] += event.seen
    return {form: wrong[form] / number for form, number in came.items() if number}


def _builds(events: Sequence[LiveEvent]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for event in events:
        if isinstance(event, LoadEnded):
            found.setdefault(event.form, set()).update(event.build_ids)
        elif isinstance(event, Answered):
            found.setdefault(event.form, set()).add(event.build_id)
    return {form: tuple(sorted(ids - {""})) for form, ids in found.items() if ids - {""}}
