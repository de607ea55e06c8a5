"""What a scenario must have so that its forms can be ranked: metrics that exist, and enough requests for each."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lab.model.loading.yamlspec import not_one_of
from lab.model.metrics import METRICS
from lab.model.mix import dealt
from lab.model.scenario import Scenario


def ranking_faults(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Key and text of each value by which no form could ever be ranked."""
    for name in dict.fromkeys((*scenario.primary, *scenario.threshold_pct)):
        if name not in METRICS:
            yield "primary" if name in scenario.primary else "threshold_pct", not_one_of(name, METRICS)
    timed = {spec.type: spec.weight for spec in scenario.requests if not spec.expect_timeout}
    weights = sum(spec.weight for spec in scenario.requests)
    longest = scenario.rate_rps.get("native", 0.0) * scenario.seconds["full"]
    able = [metric.name for metric in METRICS.values() if metric.control and not metric.fit]
    for metric in (METRICS[name] for name in scenario.primary if name in METRICS):
        if metric.name not in able:
            yield "primary", f"{metric.name} has no control, so it can never get a verdict; name {' or '.join(able)}"
            continue
        if not metric.quantile or not weights or not longest:
            continue
        most = math.floor(longest * max(timed.values(), default=0.0) / weights)
        if not timed:
            yield "primary", f"{metric.name}: every request type times out, so none has a latency"
        elif most < metric.fewest:
            text = f"needs {metric.fewest:,} answers of one request type in a cell; the longest cell has {most:,}"
            yield "primary", f"{metric.name} {text}"
    counted = scenario.counted.requests
    if weights and (counted or scenario.rate_rps):
        most = counted or _longest(scenario)
        none = [kind for kind, count in dealt(scenario.requests, most).items() if not count]
        what = f"{counted} requests leave" if counted else f"the longest cell has {most:,} requests, which leave"
        if none:
            yield "counted" if counted else "requests", f"{what} none for {', '.join(none)}"


def _longest(scenario: Scenario) -> int:
    """Requests of the longest cell on any kind of machine, where no number is given for counted cells."""
    fastest = max(*scenario.rate_rps.values(), scenario.counted.rate_rps)
    return math.ceil(fastest * max(scenario.seconds.values()))
