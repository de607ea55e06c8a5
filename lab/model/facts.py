"""The facts of a machine and of this host: what decides something, by name and type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lab.guest.wire import decode


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

    @property
    def hardware(self) -> dict[str, str]:
        """What the machine's noise depends on; "None": not reported."""
        names = ("arch", "cpu_model", "cpus", "kernel", "memory_mib", "virtualisation")
        return {name: str(self.reported.get(name)) for name in names}
