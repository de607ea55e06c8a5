"""What is seen beside the figures of a beat: of the machine, the load, the spans, the programs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Of one beat. None, or a form that is not named: not known.

    Shares are of all CPUs' time together where CPU is meant.
    """

    steal: float | None = None  # share of the machine's CPU time that its host took
    pressure: float | None = None  # share of the time in which some task waited for a CPU
    others: float | None = None  # share of the machine's CPU time used by what is not ours
    host_others: float | None = None  # the same of the host's CPU time, for what is neither the machine nor ours
    sentinel_ms: float | None = None  # a fixed piece of work
    generator: float | None = None  # CPUs that the load generator used
    late: float | None = None  # share of requests that were sent late
    clock_step_ms: float | None = None  # the largest step of the wall clock against the monotonic one
    clock_offset_ms: float | None = None  # the machine's clock against the host's, without sign
    trend: float | None = None  # the first third's latency / the last third's, least over the forms
    spans: dict[str, float] = field(default_factory=dict)  # form -> spans seen / spans that it is known to give
    first_span_s: dict[str, float] = field(default_factory=dict)  # form -> its first span, from the first request on
    parents: dict[str, float] = field(default_factory=dict)  # form -> share of spans whose parent is missing or another
    builds: dict[str, tuple[str, ...]] = field(default_factory=dict)  # form -> build ids in its answers
    ended: tuple[str, ...] = ()  # processes that ended on their own, as "agent of ebpf: killed by signal 9"
