"""What a request costs the uninstrumented service, taken from the newest run like this one: the controls' ruler."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lab.flows import report
from lab.model.errors import Unreadable
from lab.model.lab import Lab
from lab.model.paths import SUMMARY_FILE
from lab.runs.plan import RunParameters
from lab.runs.sealed import source
from lab.system import documents

BASELINE: Final = "baseline"
LIKE: Final = ("provider", "acceleration", "topology")


def measured(lab: Lab, *, scenario: str, wish: RunParameters, provider: str, accel: str) -> dict[str, float] | None:
    """{"cpu": ns of CPU per request, "wait": ns of median latency} of the baseline; None when no run here is like it.

    Like it: same scenario, kind of machine and topology. A run that cannot be read, or without a valid baseline, is
    passed over.
    """
    wanted = dict(zip(LIKE, (provider, accel, wish.topology), strict=True))
    for directory in reversed(report.complete(lab.paths)):
        summary = _summary(directory)
        if summary.get("scenario") == scenario and _like(summary, wanted) and (costs := _costs(summary)):
            return costs
    return None


def _summary(directory: Path) -> dict[str, Any]:
    try:
        return documents.read(source(directory, SUMMARY_FILE), dict[str, Any])
    except Unreadable:
        return {}


def _like(summary: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    about = summary.get("provenance", {})
    return all(about.get(key) == value for key, value in wanted.items())


def _costs(summary: Mapping[str, Any]) -> dict[str, float] | None:
    """CPU over all requests; the median weighted by how often each type of request is asked."""
    try:
        level = next(iter(summary["forms"][BASELINE]["metrics"].values()))
        weights = {row["type"]: float(row["weight"]) for row in summary["provenance"]["mix"]}
        medians = {kind: ms for kind, ms in level["latency_p50_ms"].items() if weights.get(kind, 0) > 0}
        cpu = float(level["cpu_s_per_1k_requests"]) * 1e6
        wait = sum(weights[kind] * ms for kind, ms in medians.items()) / sum(weights[kind] for kind in medians) * 1e6
    except (KeyError, TypeError, ValueError, StopIteration, ZeroDivisionError, AttributeError):
        return None
    return {"cpu": cpu, "wait": wait} if cpu > 0 and wait > 0 else None
