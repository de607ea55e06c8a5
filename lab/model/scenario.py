"""A scenario as data: the load of a demo (one YAML file in demo/scenarios)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lab.guest.wire import RequestSpec
from lab.model.config import Profile
from lab.model.names import label_fault
from lab.model.problems import Places


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSize:
    """How much a profile measures: blocks by time, or lives of each form where instructions are counted.

    levels: on a quiet machine with a real clock the load levels, as shares of what the slowest instrumented form keeps
    up with; none: one level, the scenario's rate.
    """

    blocks: int
    counted_lives: int
    levels: tuple[float, ...] = ()


PROFILES: Final[dict[Profile, ProfileSize]] = {
    "stage": ProfileSize(blocks=1, counted_lives=2),
    "quick": ProfileSize(blocks=3, counted_lives=2),
    "rehearsal": ProfileSize(blocks=8, counted_lives=4),
    "full": ProfileSize(blocks=12, counted_lives=8, levels=(0.2, 0.4, 0.6)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedLoad:
    """The load of a cell where instructions are counted: a number of requests and a rate; and the blocks in one life.

    0: the number and rate of an emulated machine in `seconds`; the cost in the newest comparable run.
    """

    rate_rps: float = 0.0
    requests: int = 0
    blocks: int = 4
    cpu_ms: float = 0.0  # what a request costs the baseline, on that clock: the size of the controls


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Load mix, rates, durations and primary metrics. `rate_rps` and `seconds` are per kind of machine and profile."""

    path: Path
    name: str
    title: str
    requests: tuple[RequestSpec, ...]
    rate_rps: dict[str, float]  # emulated | native
    seconds: dict[Profile, float] = field(default_factory=lambda: dict.fromkeys(PROFILES, 20.0))
    service: str = "demo/service"  # folder of the service, relative to the resources or absolute
    topology: str = "all"
    counted: CountedLoad = CountedLoad()
    warmup_requests: int = 40
    arrivals: str = "poisson"
    primary: tuple[str, ...] = ("cpu_s_per_1k_requests", "latency_p50_ms")
    threshold_pct: dict[str, float] = field(default_factory=dict)
    forms: tuple[str, ...] = ()  # default forms of this scenario; empty: the config's
    places: Places = field(default_factory=Places, compare=False, repr=False)


# limits of lab-load (demo/load/plan.go); a test compares the two
RATE_MAX_RPS: Final = 100_000
REQUESTS_MAX: Final = 5_000_000
INT64: Final = 1 << 63
CONTROL: Final = r"[\x00-\x1f\x7f]"
HTTP_WORD: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
PLACEHOLDER: Final = r"\{([a-z_][a-z0-9_]*)\}"


def request_faults(request: RequestSpec) -> list[tuple[str, str]]:
    """(key, message) of the faults of one request type, which lab-load would refuse only later, in a cell."""
    checks = [
        ("type", label_fault(request.type)),
        ("path", path_fault(request.path)),
        ("method", _method_fault(request.method)),
        *(("headers", header_fault(name, value)) for name, value in request.headers.items()),
    ]
    return [(key, fault) for key, fault in checks if fault]


def placeholder_faults(request: RequestSpec) -> list[tuple[str, str]]:
    """(key, message) of the faults of the {names} in path and body and of their params."""
    used = set(re.findall(PLACEHOLDER, request.path + request.body))
    faults = [("path", f"{{{name}}} is not in params") for name in sorted(used - set(request.params))]
    faults += [("params", f"{{{name}}} is in neither path nor body") for name in sorted(set(request.params) - used)]
    return faults


def path_fault(path: str) -> str:
    """Why `path` cannot be used in an HTTP request line; "" when it can."""
    if not path.startswith("/"):
        return f"{path!r} does not start with /"
    if path.startswith("//"):
        return f"{path!r} starts with //, which names a host"
    if "#" in path:
        return f"{path!r} contains #: the rest is not sent; write %23 for the character"
    if re.search(CONTROL, path):
        return f"{path!r} contains a control character"
    if found := re.search(r"\s", path):
        return f"{path!r} contains {found[0]!r}; write %20 for a space"
    if found := re.search(r"%(?![0-9A-Fa-f]{2}).{0,2}", path):
        return f"{path!r} contains {found[0]!r}, which is not a percent-encoded byte; write %25 for the character %"
    return ""


def header_fault(name: str, value: str) -> str:
    """Why this header cannot be sent; "" when it can."""
    if not re.fullmatch(HTTP_WORD, name) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
        return f"{name!r}: {value!r} cannot be sent" if value else f"{name!r} is not a header name"
    if name.lower() in ("host", "content-length", "transfer-encoding", "connection", "trailer"):
        return f"{name!r} is set by the load generator"
    return ""


def _method_fault(method: str) -> str:
    if not re.fullmatch(HTTP_WORD, method) or method != method.upper() or method == "CONNECT":
        return f"{method!r} is not an upper-case HTTP method"
    return ""


def is_param(param: Any) -> bool:
    """Whether it is {int: [first, last]} with whole numbers in order, or {choice: [text, ...]}."""
    match param:
        case {"int": [int(first), int(last)], **rest} if not rest:
            whole = not isinstance(first, bool) and not isinstance(last, bool)
            return whole and -INT64 <= first <= last < INT64
        case {"choice": [_, *_] as choices, **rest} if not rest:
            return all(isinstance(choice, str) for choice in choices)
    return False
