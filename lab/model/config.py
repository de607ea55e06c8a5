"""lab.yaml as frozen values: the only place of defaults, help texts, units and allowed values.

`lab.model.key` describes how to add a key; those of `machine:` are in `lab.model.machine`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from lab.model.key import Key, key, walk
from lab.model.machine import MachineConfig

Profile = Literal["stage", "quick", "rehearsal", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoConfig:
    """`demo:` in lab.yaml."""

    scenario: str = key("shop", "Scenario to run: a name in demo/scenarios or a path", metavar="NAME|FILE")
    forms: tuple[str, ...] = key(
        ("baseline", "twin", "delay-cpu", "orchestrion-otel", "ebpf"),
        "Forms to compare; see `lab forms`",
        flag="--form",
        metavar="A,B,…",
    )
    profile: Literal["auto", Profile] = key("auto", "How much to measure; auto: stage under emulation, else quick")
    seed: int = key(1, "Seed of order, arrivals and data")
    topology: str = key("auto", "all (one process) or split (one process per service); auto: the scenario's")
    rate_rps: float = key(0.0, "Requests per second; 0: the scenario's own for this kind of machine", flag="--rate")
    build: Literal["auto", "host", "guest"] = key(
        "auto", "Where to build forms; auto: host on Linux or for an emulated guest"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """lab.yaml."""

    machine: MachineConfig = MachineConfig()  # noqa: RUF009 - a frozen value
    demo: DemoConfig = DemoConfig()
    lock_timeout_s: float = key(600.0, "How long to wait for another lab command")


@functools.cache
def keys() -> dict[str, Key]:
    """Every key by its path ("machine.cpus")."""
    return {one.path: one for one in walk(Config)}
