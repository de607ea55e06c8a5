"""CPU time predicted from what a counted run tells of a request: user and kernel instructions, probe hits, context
switches (each one to wait ends with a wake-up), and from the rate.

A least-squares fit without negative weights over all timed forms and rates. What is printed for a row was predicted by
a fit that has not seen any row of that form in that scenario.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import nnls

from lab.guest.wire import COUNTED
from lab.model.machine import INSTRUCTION_NS
from lab.model.summary import Summary

TERMS: Final = (
    "ns per user instruction",
    "ns per kernel instruction",
    "µs per probe hit",
    "µs per context switch to wait",
    "µs per context switch for another thread",
    "ms per second of standing by",
)
ROLES: Final = ("service", "agent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One form at one rate. features: what each of TERMS is multiplied by; timed_ms: CPU of a request, measured."""

    scenario: str
    form: str
    rate_rps: float
    features: tuple[float, ...]
    timed_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What an instrumented form adds to the CPU time of a request, in per cent: measured, and predicted."""

    scenario: str
    form: str
    rate_rps: float
    timed_pct: float
    predicted_pct: float


def samples(runs: Sequence[Summary]) -> list[Sample]:
    """Every form of the timed runs of which a counted run of the same scenario counted probe hits."""
    found = []
    for counted in (run for run in runs if run.clock == COUNTED):
        if not any(form.probe_hits for form in counted.forms.values()):
            continue
        for timed in (run for run in runs if run.clock != COUNTED and run.scenario == counted.scenario):
            rate = max(attempt.rate_rps for attempt in timed.timeline)
            found += [
                Sample(
                    scenario=timed.scenario,
                    form=name,
                    rate_rps=rate,
                    features=(
                        _ms(counted, name, "user") / INSTRUCTION_NS,
                        _ms(counted, name, "system") / INSTRUCTION_NS,
                        (counted.forms[name].probe_hits or 0.0) / 1e3,
                        (counted.forms[name].waits or 0.0) / 1e3,
                        (counted.forms[name].preempted or 0.0) / 1e3,
                        1 / rate,
                    ),
                    timed_ms=_ms(timed, name, "user") + _ms(timed, name, "system"),
                )
                for name, form in timed.forms.items()
                if name in counted.forms and form.role != "control" and form.cpu and counted.forms[name].cpu
            ]
    return found


def _ms(run: Summary, form: str, mode: str) -> float:
    return sum(run.forms[form].cpu.get(f"{role}_{mode}", 0.0) for role in ROLES)


def weights(rows: Sequence[Sample]) -> tuple[float, ...]:
    """One for each of TERMS, by which the relative errors are least."""
    features = np.array([[value / row.timed_ms for value in row.features] for row in rows])
    return tuple(float(weight) for weight in nnls(features, np.ones(len(rows)))[0])


def predict(rows: Sequence[Sample]) -> list[Predicted]:
    """Each instrumented form by a fit over all the others."""
    found = []
    plain = {(row.scenario, row.rate_rps): row for row in rows if row.form == "baseline"}
    for row in rows:
        base = plain.get((row.scenario, row.rate_rps))
        if base is None or row.form in {"baseline", "twin"}:
            continue
        found_by = weights([other for other in rows if (other.scenario, other.form) != (row.scenario, row.form)])
        found.append(
            Predicted(
                scenario=row.scenario,
                form=row.form,
                rate_rps=row.rate_rps,
                timed_pct=(row.timed_ms / base.timed_ms - 1) * 100,
                predicted_pct=(_dot(found_by, row.features) / _dot(found_by, base.features) - 1) * 100,
            )
        )
    return found


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def table(rows: Sequence[Sample]) -> str:
    """As Markdown, with the weights of the fit over everything."""
    lines = [
        "| scenario | form | timed at | CPU time | predicted | time ÷ prediction |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for one in predict(rows):
        off = ((100 + one.timed_pct) / (100 + one.predicted_pct) - 1) * 100
        lines.append(
            f"| {one.scenario} | {one.form} | {one.rate_rps:g}/s | {one.timed_pct:+.0f} % | {one.predicted_pct:+.0f} %"
            f" | {off:+.0f} % |"
        )
    fitted = ", ".join(f"{weight:.2f} {term}" for term, weight in zip(TERMS, weights(rows), strict=True))
    return "\n".join([*lines, f"\nThe fit over all {len(rows)} rows: {fitted}."])
