"""The Provider seam: six functions that a plain module satisfies; differences are data (`FEATURES`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lab.machines.host_packages import HostPackage
from lab.model.lab import Lab
from lab.model.machine import Endpoint, Features, Finding, Handle, MachineSpec, Observed, Seed


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlePlace:
    """What every handle's data holds: the machine's folder."""

    directory: str


class Provider(Protocol):
    """Makes machines. Every function is idempotent; `inspect` changes nothing; the next call finishes a killed one."""

    FEATURES: Features
    TESTED_WITH: str  # where it was really exercised
    DATA: type  # a dataclass: what `Handle.data` must hold to be used

    def check(self, lab: Lab, spec: MachineSpec) -> list[Finding]:
        """What this host lacks for `spec`; fast, changes nothing."""
        ...

    def create(self, lab: Lab, spec: MachineSpec, seed: Seed, directory: Path) -> Handle:
        """Make what must exist before a start (disk overlay, seed). The machine does not run yet."""
        ...

    def start(self, lab: Lab, handle: Handle) -> Endpoint:
        """Run it; returns as soon as it can be reached in principle (readiness is waited for elsewhere)."""
        ...

    def inspect(self, lab: Lab, handle: Handle) -> Observed:
        """Ask, never remember: is it there, running, alive, whose boot. No login."""
        ...

    def recover(self, seed: Seed, name: str, directory: Path) -> Handle:
        """A handle that is good for `inspect`, `stop` and `delete`, from the seed alone; asks and changes nothing."""
        ...

    def stop(self, lab: Lab, handle: Handle) -> None: ...

    def delete(self, lab: Lab, handle: Handle) -> None:
        """Remove everything `create` and `start` made; nothing outside the cache stays."""
        ...


@runtime_checkable
class FindsWithoutState(Protocol):
    """Optional: machines that can be found without the folder that holds their state."""

    def lost(self, machines: Path) -> list[Handle]:
        """Every machine there is that was made for a folder below `machines`; handles good for `delete`."""
        ...


@runtime_checkable
class FreesHung(Protocol):
    """Optional: a machine that hangs made to go on as it is."""

    def free(self, handle: Handle) -> bool:
        """Whether it goes on now; nothing in it is changed or lost."""
        ...


@runtime_checkable
class Disks(Protocol):
    """Optional: immutable disks attached to a running machine, found in the guest by serial."""

    def attach(self, lab: Lab, handle: Handle, image: Path, serial: str) -> None: ...

    def detach(self, lab: Lab, handle: Handle, serial: str) -> None: ...


@runtime_checkable
class Snapshots(Protocol):
    """Optional: a running machine kept as it is, and gone on from."""

    def save(self, lab: Lab, handle: Handle, name: str) -> dict[str, Any]:
        """Keep it as `name`; the machine goes on. Returns what `restore` must be given."""
        ...

    def restore(self, lab: Lab, handle: Handle, name: str, kept: dict[str, Any]) -> Endpoint:
        """Go on from `name` instead of booting. Raises PreconditionError when it does not fit any more."""
        ...


@runtime_checkable
class Journalled(Protocol):
    """Optional: machines that are somebody else's: changed only if `allow_host_changes`, undone by `delete`."""

    def note(self, lab: Lab, handle: Handle) -> dict[str, Any]:
        """Write down what the playbook will change and what is there before; the playbook's variables for it."""
        ...


@runtime_checkable
class NeedsPackages(Protocol):
    """Optional: what a Debian host must have for this provider, and what must be done there once it has it."""

    @property
    def PACKAGES(self) -> tuple[HostPackage, ...]: ...  # noqa: N802  # a module's constant

    def install_commands(self, lab: Lab, *, root: bool) -> list[list[str]]:
        """argv lists that start or set up what the packages brought; empty when nothing is to be done."""
        ...
