"""`python -m tests.simulate.record RUN...`: noise of recorded runs of baseline and twin, as noise.json beside it.

Each run is one session; its valid cells in the order in which they ran, divided by their median.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import geometric_mean, median
from typing import Final

from lab.model.metrics import METRICS
from lab.runs.read import read
from lab.verdict.metrics import percentiles
from lab.verdict.observe import observe
from tests.simulate.noise import RECORDED

FIGURES: Final = {"cpu": METRICS["cpu_s_per_1k_requests"], "p50": METRICS["latency_p50_ms"]}


def main(runs: list[str]) -> None:
    series: dict[str, dict[str, list[list[float]]]] = {}
    for root in map(Path, runs):
        run = read(root)
        attempts = [view for form in observe(run).values() for view in form.attempts]
        attempts.sort(key=lambda view: view.cell.window_start_ns)
        scenario = series.setdefault(run.plan.scenario.partition("-")[0], {name: [] for name in FIGURES})
        for name, metric in FIGURES.items():
            kept = [view.figures for view in attempts if view.validity.holds(*metric.families)]
            if metric.quantile:
                told = [percentiles(f, metric.quantile) for f in kept]
                types = set.intersection(*(set(p50) for p50 in told))
                values = [geometric_mean(p50[kind] for kind in sorted(types)) for p50 in told]
            else:
                assert metric.read is not None
                values = [value for f in kept if (value := metric.read(f))]
            scenario[name].append([round(value / median(values), 4) for value in values])
    RECORDED.write_text(json.dumps({"series": series}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
