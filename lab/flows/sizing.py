"""CPU and latency of a baseline request in the newest comparable run: the measure for the controls."""

from __future__ import annotations

from typing import Final

from lab.flows import report
from lab.guest.wire import COUNTED
from lab.model.errors import Unreadable
from lab.model.lab import Lab
from lab.model.machine import INSTRUCTION_NS
from lab.model.paths import SUMMARY_FILE
from lab.model.summary import Summary
from lab.runs.plan import RunParameters
from lab.runs.sealed import source
from lab.system import documents

BASELINE: Final = "baseline"


def measured(
    lab: Lab, *, scenario: str, parameters: RunParameters, provider: str, accel: str
) -> dict[str, float] | None:
    """{"cpu": ns of CPU per request, "wait": ns of median latency} of the baseline; None without a comparable run.

    Comparable: same scenario, kind of machine, clock and topology. Skips runs that are not readable or have no valid
    baseline.
    """
    for directory in reversed(report.complete(lab.paths)):
        try:
            run = documents.read(source(directory, SUMMARY_FILE), Summary)
        except Unreadable:
            continue
        about = run.provenance
        like = (run.scenario, about.provider, about.acceleration, about.topology, run.clock)
        if like == (scenario, provider, accel, parameters.topology, parameters.clock) and (costs := _costs(run)):
            return costs
    return None


def _costs(run: Summary) -> dict[str, float] | None:
    """CPU over all requests at one level; the median weighted by the share of each request type."""
    level = run.forms[BASELINE].at(run.level) if BASELINE in run.forms else None
    weights = {part.type: part.weight for part in run.provenance.mix if part.weight > 0}
    medians = {kind: ms for kind, ms in level.latency_p50_ms.items() if kind in weights} if level else {}
    if not level or not medians:
        return None
    wait = sum(weights[kind] * ms for kind, ms in medians.items()) / sum(weights[kind] for kind in medians)
    counted_ns = level.others.get("instructions_per_request", 0.0) * INSTRUCTION_NS
    cpu_ns = counted_ns if run.clock == COUNTED else (level.cpu_s_per_1k_requests or 0.0) * 1e6
    return {"cpu": cpu_ns, "wait": wait * 1e6} if cpu_ns > 0 and wait > 0 else None
