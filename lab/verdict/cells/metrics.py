"""The figures of a cell. Latency is recomputed from the request rows, never taken from a summary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from lab.guest.scoring.gates import percentile
from lab.guest.wire import Cell, Plan, RequestSpec, Usage
from lab.model.metrics import P50_MIN, P90_MIN, P99_MIN, CellFigures, per
from lab.model.run import Request

# Label, quantile, and the fewest answers of one request type in a cell.
QUANTILES: Final[tuple[tuple[str, float, int], ...]] = (
    ("p50", 0.50, P50_MIN),
    ("p90", 0.90, P90_MIN),
    ("p99", 0.99, P99_MIN),
)


def percentiles(of: CellFigures, name: str) -> dict[str, float]:
    """Type -> milliseconds, for types with enough requests."""
    quantile, fewest = next((q, n) for label, q, n in QUANTILES if label == name)
    return {kind: percentile(ms, quantile) for kind, ms in of.latencies.items() if len(ms) >= fewest}


def weights(x: Sequence[float]) -> list[tuple[float, float]]:
    """Least squares fit: how much the value at 0 and the slope follow each y. [] without two different x."""
    middle = sum(x) / max(len(x), 1)
    spread = sum((one - middle) ** 2 for one in x)
    if spread <= 0.0:
        return []
    slopes = [(one - middle) / spread for one in x]
    return [(1 / len(x) - slope * middle, slope) for slope in slopes]


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Least squares fit of (x, y): the value at 0 and the slope. None with fewer than two different x."""
    by = weights([x for x, _ in points])
    if not by:
        return None
    parts = [(at_0 * y, slope * y) for (at_0, slope), (_, y) in zip(by, points, strict=True)]
    return sum(part[0] for part in parts), sum(part[1] for part in parts)


def figures(cell: Cell, requests: Iterable[Request], plan: Plan, *, instruction_ns: float | None = None) -> CellFigures:
    """The figures of one cell from its rows and usage. A role without counters does not count as idle.

    instruction_ns: nanoseconds that a counted clock advances per instruction; None: a real clock.
    """
    usage = {row.role: row for row in cell.usage}
    form = plan.forms[cell.form]
    roles = ("service", "agent") if form.agent else ("service", *(role for role in ("agent",) if role in usage))
    uncounted = tuple(role for role in roles if role not in usage)
    cpu_s = None if uncounted else sum(_cpu_s(usage.get(role)) for role in roles)
    return CellFigures(
        requests=cell.completed,
        spans=cell.spans_total,
        window_s=cell.window_s,
        cpu_s=cpu_s,
        rss_mib=None if uncounted else sum(usage[role].rss_mib for role in roles),
        instructions=per(cpu_s, instruction_ns or 0.0, 1e9),
        latencies=_latencies(requests, plan.requests),
        uncounted=uncounted,
        cpu=_cpu_parts(cell, usage),
    )


def _cpu_s(usage: Usage | None) -> float:
    return usage.user_s + usage.system_s if usage else 0.0


def _cpu_parts(cell: Cell, usage: dict[str, Usage]) -> dict[str, float]:
    """Seconds per 1,000 requests. `bpf_run` is part of service_system and is shown inside it, never added."""
    if not cell.completed:
        return {}
    scale = 1000 / cell.completed
    parts = {}
    for role in ("service", "agent", "sink", "load"):
        if role in usage:
            parts[f"{role}_user"] = usage[role].user_s * scale
            parts[f"{role}_system"] = usage[role].system_s * scale
    if cell.bpf_run_s is not None:
        parts["bpf_run"] = cell.bpf_run_s * scale
    return parts


def _latencies(requests: Iterable[Request], specs: Sequence[RequestSpec]) -> dict[str, tuple[float, ...]]:
    """Latencies of expected answers. A type that is expected to time out has none."""
    wanted = {spec.type: frozenset(spec.status) for spec in specs if not spec.expect_timeout}
    found: dict[str, list[float]] = defaultdict(list)
    for row in requests:
        if row.status in wanted.get(row.type, frozenset()):
            found[row.type].append(row.latency_ms)
    return {kind: tuple(sorted(values)) for kind, values in found.items()}


def ecdf(ordered: Sequence[float], points: int = 48) -> list[tuple[float, float]]:
    """(milliseconds, share answered by then): every request when few, else evenly thinned with both ends."""
    count = len(ordered)
    wanted = min(points, count)
    picked = sorted({round(i * (count - 1) / max(wanted - 1, 1)) for i in range(wanted)})
    return [(ordered[i], (i + 1) / count) for i in picked]
