"""The table of metrics by which forms are compared, and the figures of a cell that they are read from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from lab.guest.wire import COUNTED

REAL: Final = "real"
ALL_LEVELS: Final = "all"  # the level of a figure fitted over all levels of a block
# Fewest answers of one request type in a cell for each percentile.
P50_MIN: Final = 5
P90_MIN: Final = 20
P99_MIN: Final = 1000
Kind = Literal["work", "time", "memory", "spans"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFigures:
    """Figures of one cell. latencies: type -> sorted milliseconds of its expected answers. None: unknown."""

    requests: int  # answered
    spans: int  # delivered
    window_s: float
    cpu_s: float | None  # service and agent, user and system
    rss_mib: float | None  # service and agent
    instructions: float | None = None  # what cpu_s is on a counted clock, and `moved`
    moved: float = 0.0  # instructions of collections of garbage, from or to other cells of the same life
    off: float = 0.0  # standard deviation of `instructions`: a collection more or less at the edges of the life
    latencies: dict[str, tuple[float, ...]] = field(default_factory=dict)
    uncounted: tuple[str, ...] = ()  # the roles of `cpu_s` and `rss_mib` without counters
    cpu: dict[str, float] = field(default_factory=dict)  # seconds per 1,000 requests by part, bpf_run inside service


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric; a new one is one more entry in METRICS.

    families: of lab.guest.scoring.gates; only gates that affect them can void it. clock: the only clock on which it is
    valid; "" any. control: the kind of delay that proves that an effect would be detected.
    """

    name: str
    title: str
    note: str
    unit: str
    kind: Kind
    families: tuple[str, ...]
    threshold_pct: float = 5.0
    clock: str = ""
    instead_of: str = ""  # the metric that it replaces on its clock, with its threshold and its place among the primary
    control: str = ""
    gain: bool = False  # larger is better
    quantile: str = ""  # p50, p90, p99: of latency, one figure per request type
    fewest: int = 0  # answers of one type in a cell that the quantile needs
    read: Callable[[CellFigures], float | None] | None = None  # from one cell; with `fit` per second
    fit: Literal["", "standing", "marginal"] = ""  # of a line through the levels of a block: at no load, per request

    def on(self, clock: str) -> str:
        """The title in a run on this clock: the counted clock only simulates time."""
        return f"simulated {self.title}" if clock == COUNTED and self.kind == "time" else self.title


def per(part: float | None, whole: float, scale: float = 1.0) -> float | None:
    """The ratio; None where one side is None or zero."""
    return part / whole * scale if part is not None and whole else None


def _latency(quantile: str, title: str, fewest: int, threshold_pct: float = 5.0, control: str = "") -> Metric:
    return Metric(
        name=f"latency_{quantile}_ms",
        title=title,
        note="from the intended send time",
        unit="ms",
        kind="time",
        families=("latency",),
        threshold_pct=threshold_pct,
        control=control,
        quantile=quantile,
        fewest=fewest,
    )


CPU_NOTE: Final = "service + agent, user + system"
COUNT_NOTE: Final = "service + agent, user + kernel"
METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        Metric(
            name="cpu_s_per_1k_requests",
            title="CPU per request",
            note=CPU_NOTE,
            unit="ms",
            kind="time",
            families=("cpu",),
            threshold_pct=2.0,
            clock=REAL,
            control="cpu",
            read=lambda f: per(f.cpu_s, f.requests, 1000),
        ),
        Metric(
            name="instructions_per_request",
            title="instructions per request",
            note=COUNT_NOTE,
            unit="instructions",
            kind="work",
            families=("cpu",),
            threshold_pct=2.0,
            clock=COUNTED,
            instead_of="cpu_s_per_1k_requests",
            control="cpu",
            read=lambda f: per(f.instructions, f.requests),
        ),
        _latency("p50", "median latency", P50_MIN, control="wait"),
        _latency("p90", "p90 latency", P90_MIN),
        _latency("p99", "p99 latency", P99_MIN),
        Metric(
            name="rss_mib",
            title="memory",
            note="resident, service + agent",
            unit="MiB",
            kind="memory",
            families=("memory",),
            read=lambda f: f.rss_mib,
        ),
        Metric(
            name="instructions_per_span",
            title="instructions per delivered span",
            note=COUNT_NOTE,
            unit="instructions",
            kind="work",
            families=("cpu", "spans"),
            threshold_pct=2.0,
            clock=COUNTED,
            read=lambda f: per(f.instructions, f.spans),
        ),
        Metric(
            name="instructions_marginal",
            title="marginal instructions per request",
            note="slope over the rates of a block",
            unit="instructions",
            kind="work",
            families=("cpu",),
            threshold_pct=2.0,
            clock=COUNTED,
            fit="marginal",
            read=lambda f: per(f.instructions, f.window_s),
        ),
        Metric(
            name="instructions_standing",
            title="standing instructions per second",
            note="at no load, over the rates of a block",
            unit="instructions/s",
            kind="work",
            families=("cpu",),
            clock=COUNTED,
            fit="standing",
            read=lambda f: per(f.instructions, f.window_s),
        ),
        Metric(
            name="cpu_marginal_ms",
            title="marginal CPU per request",
            note="slope over the rates of a block",
            unit="ms",
            kind="time",
            families=("cpu",),
            threshold_pct=2.0,
            clock=REAL,
            fit="marginal",
            read=lambda f: per(f.cpu_s, f.window_s, 1000),
        ),
        Metric(
            name="cpu_standing_ms",
            title="standing CPU per second",
            note="at no load, over the rates of a block",
            unit="ms/s",
            kind="time",
            families=("cpu",),
            clock=REAL,
            fit="standing",
            read=lambda f: per(f.cpu_s, f.window_s, 1000),
        ),
    )
}
PRIMARY: Final = ("cpu_s_per_1k_requests", "latency_p50_ms")


def applicable(clock: str, levels: int) -> tuple[Metric, ...]:
    """The metrics of a run on this clock with this number of load levels, in the order of the table."""
    return tuple(m for m in METRICS.values() if m.clock in {"", clock} and (levels > 1 or not m.fit))


def primary(named: Sequence[str], clock: str) -> tuple[str, ...]:
    """The primary metrics, as the scenario named them before the run; on a counted clock, those of work.

    Where none of them is valid on this clock, it is what a request costs there: a run has a verdict on any clock.
    """
    stands = {m.instead_of: m.name for m in METRICS.values() if m.clock == clock and m.instead_of}
    found = [METRICS[name] for name in (stands.get(name, name) for name in named or PRIMARY) if name in METRICS]
    kept = [m.name for m in found if m.clock in {"", clock} and (m.kind == "work" or clock != COUNTED)]
    return tuple(dict.fromkeys(kept)) or headline(clock)[:1]


def headline(clock: str) -> tuple[str, ...]:
    """The metrics with a control: a report shows them first."""
    return tuple(m.name for m in applicable(clock, 1) if m.control)
