"""The Provider seam: six functions that a plain module satisfies; differences are data (`FEATURES`)."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from lab.machines.host_packages import HostPackage
from lab.machines.providers.snapshot_key import Kept
from lab.model.lab import Lab
from lab.model.machine import Endpoint, Features, Finding, Handle, MachineSpec, Observed, Seed

H = TypeVar("H", bound=Handle)
H_contra = TypeVar("H_contra", bound=Handle, contravariant=True)


class ProviderOf(Protocol[H]):
    """Creates machines, with its own type of handle.

    Every function is idempotent; `inspect` changes nothing; the next call completes a killed one.
    """

    FEATURES: Features
    TESTED_WITH: str  # where it was really run

    @property
    def HANDLE(self) -> type[H]: ...  # noqa: N802  # a module's constant

    def check(self, lab: Lab, spec: MachineSpec) -> list[Finding]:
        """What this host lacks for `spec`; fast, changes nothing."""
        ...

    def create(self, lab: Lab, spec: MachineSpec, seed: Seed, directory: Path) -> H:
        """Create what must exist before a start (disk overlay, seed). The machine does not run yet."""
        ...

    def start(self, lab: Lab, handle: H) -> Endpoint:
        """Start it; returns as soon as its endpoint is known (the caller waits for readiness)."""
        ...

    def inspect(self, lab: Lab, handle: H) -> Observed:
        """Its current state, never a stored one: whether it exists, runs, is alive, and its boot id. No login."""
        ...

    def recover(self, seed: Seed, name: str, directory: Path) -> H:
        """A handle for `inspect`, `stop` and `delete`, from the seed alone; inspects and changes nothing."""
        ...

    def stop(self, lab: Lab, handle: H) -> None: ...

    def delete(self, lab: Lab, handle: H) -> None:
        """Remove everything that `create` and `start` made; only the cache stays."""
        ...


Provider = ProviderOf[Any]


@runtime_checkable
class FindsWithoutState(Protocol):
    """Optional: machines that can be found without the folder that holds their state."""

    def lost(self, machines: Path) -> Sequence[Handle]:
        """Every existing machine that was created for a folder below `machines`; handles for `delete`."""
        ...


@runtime_checkable
class FreesHung(Protocol[H_contra]):
    """Optional: resumes a hung machine without a restart."""

    def free(self, handle: H_contra) -> bool:
        """Whether it runs again; nothing in it is changed or lost."""
        ...


@runtime_checkable
class Disks(Protocol[H_contra]):
    """Optional: immutable disks attached to a running machine, found in the guest by serial."""

    def attach(self, lab: Lab, handle: H_contra, image: Path, serial: str) -> None: ...

    def attached(self, handle: H_contra) -> AbstractSet[Path]:
        """At least the disks that are attached to it now; none when it does not run."""
        ...


@runtime_checkable
class Snapshots(Protocol[H_contra]):
    """Optional: saves and restores a running machine."""

    def save(self, lab: Lab, handle: H_contra, name: str) -> Kept:
        """Save it as `name`; the machine keeps running. Returns the argument of `restore`."""
        ...

    def changed(self, lab: Lab, handle: H_contra, kept: Kept) -> Sequence[str]:
        """What has changed since it was saved, as text: then `restore` raises. Fast, touches no machine."""
        ...

    def restore(self, lab: Lab, handle: H_contra, name: str, kept: Kept) -> Endpoint:
        """Restore `name` instead of booting. Raises PreconditionError when it does not fit any more."""
        ...


@runtime_checkable
class Journalled(Protocol[H_contra]):
    """Optional: borrowed machines, changed only with `allow_host_changes`, restored by `delete`."""

    def record(self, lab: Lab, handle: H_contra) -> dict[str, Any]:
        """Record what the playbook will change, with its state before; returns the playbook's variables for it."""
        ...


@runtime_checkable
class NeedsPackages(Protocol):
    """Optional: the Debian packages that this provider needs, and the setup commands after their installation."""

    @property
    def PACKAGES(self) -> tuple[HostPackage, ...]: ...  # noqa: N802  # a module's constant

    def install_commands(self, lab: Lab, *, root: bool) -> list[list[str]]:
        """argv lists that start or set up the packages' services; empty when there is nothing to do."""
        ...
