"""What is wanted, as frozen values: the only home of a default and of a key's help text.

JSON Schema, the commented sample and the reference page are generated from here (`help` metadata).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lab.model.machine import MachineSpec

Profile = Literal["stage", "quick", "rehearsal", "full"]
BuildWhere = Literal["auto", "host", "guest"]


def key(default: Any, help_text: str) -> Any:
    """A config key: its default and the sentence shown in help, schema and reference."""
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: default, metadata={"help": help_text})
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineConfig:
    """`machine:` in lab.yaml."""

    name: str = key("lab", "name of the machine")
    provider: str = key("qemu", "what makes the machine: see `lab providers`")
    image: str = key("debian-12", "image recipe")
    cpus: int = key(2, "virtual CPUs")
    memory_mib: int = key(2048, "memory of the machine, MiB")
    disk_gib: int = key(16, "size of the machine's disk, GiB (grows as it is used)")
    accel: str = key("auto", "auto (chosen by trying), kvm, hvf, whpx or tcg")

    def spec(self) -> MachineSpec:
        return MachineSpec(**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoConfig:
    """`demo:` in lab.yaml."""

    scenario: str = key("shop", "what a demo does: a name in demo/scenarios or a path")
    forms: tuple[str, ...] = key(("baseline", "twin", "orchestrion-otel", "ebpf"), "forms to compare")
    profile: str = key("auto", "stage, quick, rehearsal, full; auto: stage under emulation, else quick")
    seed: int = key(1, "seed of order, arrivals and data")
    topology: str = key("auto", "all (one process) or split (one process per service); auto: the scenario's")
    rate_rps: float = key(0.0, "requests per second; 0: the scenario's own for this kind of machine")
    build: str = key("auto", "where forms are built: host, guest; auto: host on Linux or for an emulated guest")


_MACHINE: Final = MachineConfig()
_DEMO: Final = DemoConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole of lab.yaml."""

    machine: MachineConfig = key(_MACHINE, "the machine to provision")  # noqa: RUF009 - a frozen value
    demo: DemoConfig = key(_DEMO, "the demo to run")  # noqa: RUF009 - a frozen value
    lock_timeout_s: float = key(600.0, "how long to wait for another lab command, seconds")
