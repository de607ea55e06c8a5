"""The artifact disks that running machines and snapshots need: without one of them no snapshot can be restored."""

from __future__ import annotations

import contextlib
from pathlib import Path

from lab.machines import snapshots, state, steps
from lab.machines.providers.base import Disks
from lab.model.errors import LabError
from lab.model.lab import Lab


def names(lab: Lab) -> set[str]:
    """Their file names. A name is the digest of the content, and stays when the home is moved."""
    return {name for machine in state.names(lab) for name in _attached(lab, machine) | _saved(lab, machine)}


def _attached(lab: Lab, machine: str) -> set[str]:
    found = state.look(lab, machine).machine
    if found is None or found.handle is None:
        return set()
    provider = steps.provider_of(found)
    return {path.name for path in provider.attached(found.handle)} if isinstance(provider, Disks) else set()


def _saved(lab: Lab, machine: str) -> set[str]:
    """A record that cannot be read cannot be restored either."""
    found: set[str] = set()
    for name in snapshots.names(lab, machine):
        with contextlib.suppress(LabError):
            found |= {Path(disk.image).name for disk in snapshots.read(lab, machine, name).kept.disks}
    return found
