"""The Provider seam: six functions that a plain module satisfies; differences are data (`FEATURES`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from lab.machines.host_packages import HostPackage
from lab.model.lab import Lab
from lab.model.machine import Endpoint, Features, Finding, Handle, MachineSpec, Observed, Seed

H = TypeVar("H", bound=Handle)
H_contra = TypeVar("H_contra", bound=Handle, contravariant=True)


class ProviderOf(Protocol[H]):
    """Makes machines, each with a handle of its own kind.

    Every function is idempotent; `inspect` changes nothing; the next call finishes a killed one.
    """

    FEATURES: Features
    TESTED_WITH: str  # where it was really exercised

    @property
    def HANDLE(self) -> type[H]: ...  # noqa: N802  # a module's constant

    def check(self, lab: Lab, spec: MachineSpec) -> list[Finding]:
        """What this host lacks for `spec`; fast, changes nothing."""
        ...

    def create(self, lab: Lab, spec: MachineSpec, seed: Seed, directory: Path) -> H:
        """Make what must exist before a start (disk overlay, seed). The machine does not run yet."""
        ...

    def start(self, lab: Lab, handle: H) -> Endpoint:
        """Run it; returns as soon as it can be reached in principle (readiness is waited for elsewhere)."""
        ...

    def inspect(self, lab: Lab, handle: H) -> Observed:
        """Ask, never remember: is it there, running, alive, whose boot. No login."""
        ...

    def recover(self, seed: Seed, name: str, directory: Path) -> H:
        """A handle that is good for `inspect`, `stop` and `delete`, from the seed alone; asks and changes nothing."""
        ...

    def stop(self, lab: Lab, handle: H) -> None: ...

    def delete(self, lab: Lab, handle: H) -> None:
        """Remove everything `create` and `start` made; nothing outside the cache stays."""
        ...


Provider = ProviderOf[Any]


@runtime_checkable
class FindsWithoutState(Protocol):
    """Optional: machines that can be found without the folder that holds their state."""

    def lost(self, machines: Path) -> Sequence[Handle]:
        """Every machine there is that was made for a folder below `machines`; handles good for `delete`."""
        ...


@runtime_checkable
class FreesHung(Protocol[H_contra]):
    """Optional: a machine that hangs made to go on as it is."""

    def free(self, handle: H_contra) -> bool:
        """Whether it goes on now; nothing in it is changed or lost."""
        ...


@runtime_checkable
class Disks(Protocol[H_contra]):
    """Optional: immutable disks attached to a running machine, found in the guest by serial."""

    def attach(self, lab: Lab, handle: H_contra, image: Path, serial: str) -> None: ...

    def detach(self, lab: Lab, handle: H_contra, serial: str) -> None: ...


@runtime_checkable
class Snapshots(Protocol[H_contra]):
    """Optional: a running machine kept as it is, and gone on from."""

    def save(self, lab: Lab, handle: H_contra, name: str) -> dict[str, Any]:
        """Keep it as `name`; the machine goes on. Returns what `restore` must be given."""
        ...

    def restore(self, lab: Lab, handle: H_contra, name: str, kept: dict[str, Any]) -> Endpoint:
        """Go on from `name` instead of booting. Raises PreconditionError when it does not fit any more."""
        ...


@runtime_checkable
class Journalled(Protocol[H_contra]):
    """Optional: machines that are somebody else's: changed only if `allow_host_changes`, undone by `delete`."""

    def note(self, lab: Lab, handle: H_contra) -> dict[str, Any]:
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
