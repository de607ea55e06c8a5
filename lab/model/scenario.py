"""A scenario as data: what a demo does (one YAML in demo/scenarios)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.guest.wire import RequestSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Load mix, rates, durations and what is compared. `rate_rps` and `seconds` are per kind of machine and profile."""

    path: Path
    name: str
    title: str
    service: str  # folder of the service, relative to the resources or absolute
    topology: str
    requests: tuple[RequestSpec, ...]
    rate_rps: dict[str, float]  # emulated | native
    seconds: dict[str, float]  # stage | quick | rehearsal | full
    warmup_requests: int = 40
    arrivals: str = "poisson"
    primary: tuple[str, ...] = ("cpu_s_per_1k_requests", "latency_p50_ms")
    threshold_pct: dict[str, float] = field(default_factory=dict)
    forms: tuple[str, ...] = ()  # default forms of this scenario; empty: the config's


INT64 = 1 << 63
CONTROL = r"[\x00-\x1f\x7f]"
HEADER = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
BLOCKS: dict[str, int] = {"stage": 1, "quick": 3, "rehearsal": 8, "full": 12}


def request_faults(request: RequestSpec) -> list[tuple[str, str]]:
    """(key, what is wrong) of one request type: what lab-load would refuse only in a cell, on a machine made for it."""
    faults = [] if request.path.startswith("/") else [("path", f"{request.path!r} does not start with /")]
    if re.search(CONTROL, request.path):
        faults.append(("path", f"{request.path!r} holds a control character"))
    for name, value in request.headers.items():
        if not re.fullmatch(HEADER, name) or re.search(CONTROL, value):
            faults.append(("headers", f"{name!r}: {value!r} cannot be sent"))
    if not request.method or request.method != request.method.upper():
        faults.append(("method", f"{request.method!r} is not an upper-case HTTP method"))
    if not request.type or re.search(r'[,|"\n]', request.type):
        faults.append(("type", f'{request.type!r} is empty or holds one of , | "'))
    used = set(re.findall(r"\{([a-z_][a-z0-9_]*)\}", request.path + request.body))
    faults += [("path", f"params does not say how to draw {{{name}}}") for name in sorted(used - set(request.params))]
    faults += [("params", f"{{{name}}} is in neither path nor body") for name in sorted(set(request.params) - used)]
    return faults


def is_param(param: Any) -> bool:
    """Whether it is {int: [first, last]} with whole numbers in order, or {choice: [text, ...]}."""
    match param:
        case {"int": [int(first), int(last)], **rest} if not rest:
            whole = not isinstance(first, bool) and not isinstance(last, bool)
            return whole and -INT64 <= first <= last < INT64
        case {"choice": [_, *_] as choices, **rest} if not rest:
            return all(isinstance(choice, str) for choice in choices)
    return False
