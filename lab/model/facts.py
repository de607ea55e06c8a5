"""The facts of a machine and of this host: what decides something, by name and type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from lab.guest.wire import decode, shown

MEMORY_RATIO: Final = 1.05  # what a kernel takes for itself is not the same in every boot
NO: Final = frozenset({"None", "", "unknown"})  # not reported, not known


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFingerprint:
    """The host's fingerprint, without personal data."""

    os: str = ""
    release: str = ""
    arch: str = ""
    python: str = ""
    lab: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """The facts that decide something, with the document in which the machine reported them and more.

    The document has a fact of any version of the guest half; it is stored and shown, not read.
    """

    kernel: str = ""
    arch: str = ""
    cpu_model: str = ""
    cpus: int = 1
    memory_mib: int = 0
    lockdown: str = ""
    virtualisation: str | None = None
    emulated: bool = False
    battery: bool = False
    clock_behind_s: float | None = None  # of a restored machine, against the host's clock
    clock: str = "real"  # counted: it advances by executed instructions
    instruction_ns: float | None = None  # nanoseconds that a counted clock advances per instruction
    reported: dict[str, object] = field(default_factory=dict)

    @staticmethod
    def of(reported: Mapping[str, object]) -> MachineFacts:
        """Raises WireError for a fact of the wrong type."""
        return replace(decode(MachineFacts, reported), reported=dict(reported))

    def but(self, **changes: object) -> MachineFacts:
        """The same machine with what this host knows of it."""
        return MachineFacts.of({**self.reported, **changes})

    def unlike(self, now: MachineFacts) -> tuple[str, ...]:
        """Why figures of this machine and of the one that it is now are of two machines; empty: they are of one.

        What is not known on both sides does not tell.
        """
        names = {"kernel": "kernel", "arch": "architecture", "cpu_model": "CPU", "cpus": "CPUs", "lockdown": "lockdown"}
        both = [(said, *(shown(str(one.reported.get(name))) for one in (self, now))) for name, said in names.items()]
        found = [f"{said} {one}, then {other}" for said, one, other in both if one != other and not {one, other} & NO]
        memory = (self.memory_mib, now.memory_mib)
        if min(memory) and max(memory) > MEMORY_RATIO * min(memory):
            found.append(f"{memory[0]} MiB of memory, then {memory[1]} MiB")
        return tuple(found)

    @property
    def hardware(self) -> dict[str, str]:
        """What the machine's noise depends on; "None": not reported."""
        names = ("arch", "cpu_model", "cpus", "kernel", "memory_mib", "virtualisation")
        return {name: str(self.reported.get(name)) for name in names}
