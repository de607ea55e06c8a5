"""`python -m tests.simulate.record RUN...`: noise of recorded runs of baseline and twin, as noise.json beside it.

Each run is one session; its valid cells in the order in which they ran, divided by their median. A counted run gives
its process lives, each form's cells divided by their mean. Scenarios that no RUN has stay as they were.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import fmean, geometric_mean, median
from typing import Final

from lab.guest.wire import COUNTED
from lab.model.metrics import METRICS
from lab.model.run import Run
from lab.runs.read import read
from lab.verdict.cells.metrics import percentiles
from lab.verdict.cells.observe import observe
from tests.simulate.noise import BARE, RECORDED

FIGURES: Final = {"cpu": METRICS["cpu_s_per_1k_requests"], "p50": METRICS["latency_p50_ms"]}
COUNT: Final = METRICS["instructions_per_request"]


def main(runs: list[str]) -> None:
    series = json.loads(RECORDED.read_text(encoding="utf-8"))["series"]
    found: dict[str, dict[str, list[list[float]]]] = {}
    for run in map(read, map(Path, runs)):
        name = run.plan.scenario.partition("-")[0]
        if run.plan.clock == COUNTED:
            _lives(run, found.setdefault(f"{name} counted", {}))
        else:
            _session(run, found.setdefault(name, {figure: [] for figure in FIGURES}))
    RECORDED.write_text(json.dumps({"series": {**series, **found}}) + "\n", encoding="utf-8")


def _session(run: Run, found: dict[str, list[list[float]]]) -> None:
    attempts = [view for form in observe(run).values() for view in form.attempts]
    attempts.sort(key=lambda view: view.cell.window_start_ns)
    for name, metric in FIGURES.items():
        kept = [view.figures for view in attempts if view.validity.holds(*metric.families)]
        if metric.quantile:
            told = [percentiles(f, metric.quantile) for f in kept]
            types = set.intersection(*(set(p50) for p50 in told))
            values = [geometric_mean(p50[kind] for kind in sorted(types)) for p50 in told]
        else:
            assert metric.read is not None
            values = [value for f in kept if (value := metric.read(f))]
        found[name].append([round(value / median(values), 4) for value in values])


def _lives(run: Run, found: dict[str, list[list[float]]]) -> None:
    assert COUNT.read is not None
    level = max(run.plan.lives[0].cells, key=lambda cell: cell.rate_rps).level
    for name, form in observe(run).items():
        read_of = {view.cell.block: COUNT.read(view.figures) for view in form.attempts if view.cell.level == level}
        mean = fmean(value for value in read_of.values() if value)
        for life in run.plan.lives:
            if life.form == name:
                values = [read_of.get(cell.block) for cell in life.cells if cell.level == level]
                kind = name if form.role == "instrumented" else BARE
                found.setdefault(kind, []).append([round(value / mean, 4) for value in values if value])


if __name__ == "__main__":
    main(sys.argv[1:])
