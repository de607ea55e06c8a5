"""How well counted instructions tell CPU time: effects of the same forms in counted and in timed runs, side by side.

    ./labw python -m tests.bench.predict RUN RUN [RUN...]

Each RUN is a name that `lab runs` lists; at least one counted and one timed run of one scenario. Printed is a row for
each form and timed load level: what the form adds to a request by instructions and by CPU time, and the residual in the
logarithm; below, over all rows, the correlation of the logarithms and the worst disagreement. A second table predicts
CPU time from the instructions and the probe hits of counted runs that have counted both.
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import StatisticsError, correlation

from lab import verdict
from lab.cli.options import Options
from lab.cli.session import session
from lab.flows import report
from lab.guest.wire import COUNTED
from lab.model.metrics import primary
from lab.model.summary import Summary, Verdict
from lab.runs import read
from tests.bench import predict_fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One form in one scenario: per cent that it adds, counted and timed. noise_pct: what the timed twin read."""

    scenario: str
    form: str
    rate_rps: float
    counted_pct: float
    timed_pct: float
    noise_pct: float | None

    @property
    def residual(self) -> float:
        """Of the logarithms, in per cent: how much dearer time says a request is than instructions do."""
        return math.expm1(math.log1p(self.timed_pct / 100) - math.log1p(self.counted_pct / 100)) * 100


def points(runs: list[Summary]) -> list[Point]:
    """Every pair of a counted and a timed run of one scenario, form by form."""
    found = []
    for timed in (run for run in runs if run.clock != COUNTED):
        rates = {attempt.rate_rps for attempt in timed.timeline}
        noise = timed.controls.twin.get("cpu_s_per_1k_requests")
        for counted in (run for run in runs if run.clock == COUNTED and run.scenario == timed.scenario):
            one, other = _effects(counted), _effects(timed)
            found += [
                Point(
                    scenario=timed.scenario,
                    form=form,
                    rate_rps=max(rates),
                    counted_pct=one[form],
                    timed_pct=other[form],
                    noise_pct=abs(noise.effect_pct) if noise else None,
                )
                for form in one
                if form in other
            ]
    return found


def _effects(run: Summary) -> dict[str, float]:
    """Form -> what it and each control add to the CPU of a request, by the metric of the run's clock."""
    metric = primary(("cpu_s_per_1k_requests",), run.clock)[0]
    rows: list[Verdict] = [row for row in run.verdicts if row.against == "baseline" and row.metric == metric]
    levels = [row for row in rows if row.primary] or rows
    return {row.form: row.effect_pct for row in levels if row.effect_pct is not None}


def table(found: list[Point]) -> str:
    """As Markdown."""
    lines = ["| scenario | form | timed at | instructions | CPU time | time ÷ instructions | timed twin |"]
    lines.append("|---|---|---:|---:|---:|---:|---:|")
    for one in found:
        noise = "" if one.noise_pct is None else f"±{one.noise_pct:.1f} %"
        lines.append(
            f"| {one.scenario} | {one.form} | {one.rate_rps:g}/s | {one.counted_pct:+.0f} % | {one.timed_pct:+.0f} %"
            f" | {one.residual:+.0f} % | {noise} |"
        )
    logs = [(math.log1p(p.counted_pct / 100), math.log1p(p.timed_pct / 100)) for p in found]
    try:
        lines.append(
            f"\nCorrelation of the logarithms, {len(found)} rows: {correlation(*zip(*logs, strict=True)):.2f}."
        )
    except (StatisticsError, TypeError):
        lines.append(f"\n{len(found)} rows: too few for a correlation.")
    if found:
        worst = max(found, key=lambda one: abs(one.residual))
        lines.append(
            f"Worst disagreement: {worst.form} of {worst.scenario} at {worst.rate_rps:g}/s, {worst.residual:+.0f} %."
        )
    return "\n".join(lines)


def main() -> int:
    home = Path(os.environ["LAB_HOME"]) if "LAB_HOME" in os.environ else None
    with session(Options(plain=True, home=home), "predict", {}) as lab:
        runs = [verdict.summarize(read.read(report.find(lab.paths, name))) for name in sys.argv[1:]]
    print(table(points(runs)))
    if rows := predict_fit.samples(runs):
        print(f"\n{predict_fit.table(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
