"""A scenario as data: what a demo does (one YAML in demo/scenarios)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

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


BLOCKS: dict[str, int] = {"stage": 1, "quick": 3, "rehearsal": 8, "full": 12}
