"""Reader of a scenario's file."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Final

from lab.guest.wire import RequestSpec
from lab.model.loading.rankable import ranking_faults
from lab.model.loading.yamlspec import Section, read
from lab.model.names import file_name_fault
from lab.model.scenario import (
    PROFILES,
    RATE_MAX_RPS,
    REQUESTS_MAX,
    CountedLoad,
    Scenario,
    is_param,
    placeholder_faults,
    request_faults,
)

SCENARIO_FILE: Final = "scenario.yaml"  # beside your own service: the default scenario for it
DEFAULT: Final = Scenario(path=Path(), name="", title="", requests=(), rate_rps={})
THRESHOLD_MAX: Final = 100.0  # per cent: beyond it, a form that costs twice as much would be called SAME
REQUEST: Final = RequestSpec(type="", weight=1.0, method="GET", path="/")


def load_scenario(path: Path, problems: list[str] | None = None) -> Scenario:
    """Read one scenario. Raises ConfigError with every problem; with `problems`, appends to that list instead."""
    doc = read(path).schema(1)
    doc.only(
        *("schema", "name", "title", "service", "topology", "requests", "rate_rps", "seconds", "warmup_requests"),
        *("counted", "arrivals", "primary", "threshold_pct", "forms"),
    )
    doc.require("name", "title", "requests", "rate_rps")
    rates = doc.section("rate_rps").only("emulated", "native").require("emulated", "native")
    seconds = doc.section("seconds").only(*PROFILES)
    counted = doc.section("counted").only("rate_rps", "requests", "blocks", "cpu_ms")
    thresholds = doc.section("threshold_pct")
    scenario = Scenario(
        path=path,
        name=doc.text("name"),
        title=doc.text("title"),
        service=doc.text("service", DEFAULT.service),
        topology=doc.text("topology", DEFAULT.topology),
        requests=tuple(_request(item) for item in doc.sections("requests")),
        rate_rps={key: rates.number(key, 1.0, low=0.01, high=RATE_MAX_RPS) for key in rates.names},
        seconds={name: seconds.number(name, usual, low=1, high=86400) for name, usual in DEFAULT.seconds.items()},
        counted=CountedLoad(
            rate_rps=counted.number("rate_rps", DEFAULT.counted.rate_rps, low=0.01, high=RATE_MAX_RPS),
            requests=counted.whole("requests", DEFAULT.counted.requests, low=1, high=REQUESTS_MAX),
            blocks=counted.whole("blocks", DEFAULT.counted.blocks, low=1, high=100),
            cpu_ms=counted.number("cpu_ms", DEFAULT.counted.cpu_ms, low=0.001, high=60_000),
        ),
        warmup_requests=doc.whole("warmup_requests", DEFAULT.warmup_requests, low=0, high=1_000_000),
        arrivals=doc.text("arrivals", DEFAULT.arrivals, one_of=("poisson", "uniform")),
        primary=doc.strs("primary", DEFAULT.primary),
        threshold_pct={key: thresholds.number(key, 2.0, low=0, high=THRESHOLD_MAX) for key in thresholds.names},
        forms=doc.strs("forms", DEFAULT.forms),
    )
    if doc.has("name"):
        doc.check("name", file_name_fault(scenario.name))  # part of the name of a run's folder
    names = [request.type for request in scenario.requests if request.type]
    for name in sorted({name for name in names if names.count(name) > 1}):
        doc.complain("requests", f"duplicate type {name!r}")
    doc.check("requests", "" if scenario.requests else "at least one request type is required")
    for key, text in ranking_faults(scenario) if doc.sound("requests", "rate_rps", "seconds", "counted") else ():
        doc.complain(key, text)
    doc.document.finish(problems)
    return dataclasses.replace(scenario, places=doc.document.places())


def _request(item: Section) -> RequestSpec:
    item.only("type", "weight", "method", "path", "body", "headers", "params", "status", "timeout_s", "expect_timeout")
    item.require("type", "path")
    params = {name: item.section("params").plain(name) for name in item.section("params").names}
    for name, param in params.items():
        if not is_param(param):
            text = "use {int: [first, last]}, first not above last, or {choice: [a, b]} with numbers in quotes"
            item.section("params").complain(name, text)
    request = RequestSpec(
        type=item.text("type"),
        weight=item.number("weight", REQUEST.weight, low=1e-9, high=1e9),
        method=item.text("method", REQUEST.method),
        path=item.text("path", REQUEST.path),
        body=item.text("body", REQUEST.body),
        headers=item.texts("headers"),
        params=params,
        status=statuses(item, REQUEST.status),
        timeout_s=item.number("timeout_s", 10.0, low=0.001, high=3600) if item.has("timeout_s") else None,
        expect_timeout=item.flag("expect_timeout"),
    )
    for key, text in request_faults(request):
        item.complain(key, text)
    for key, text in placeholder_faults(request) if item.sound("path", "body", "params") else ():
        item.complain(key, text)
    return request


def statuses(item: Section, default: tuple[int, ...]) -> tuple[int, ...]:
    """The HTTP status codes of `status`; `default` where it is not given."""
    given = item.strs("status", tuple(str(code) for code in default))
    if not item.sound("status"):
        return default
    if not all(re.fullmatch("[1-5][0-9][0-9]", code) for code in given) or (item.has("status") and not given):
        item.complain("status", "a list of HTTP status codes is expected, such as [200, 204]")
        return default
    return tuple(int(code) for code in given)
