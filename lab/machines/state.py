"""machine.json: how a machine was created, never whether it runs. Anything that can be inspected is not stored.

Whatever the file holds, `look` returns a machine that every caller can use, or the problem.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lab.guest.wire import WireError, decode, shown
from lab.machines.providers import PROVIDERS
from lab.model.errors import ConfigError, ProvisioningError, Unreadable
from lab.model.lab import Lab
from lab.model.machine import Endpoint, Handle, LocalEndpoint, Machine, MachineSpec, SshEndpoint, StoredSsh
from lab.model.paths import (
    HOST_KEY_FILE,
    IDENTITY_FILE,
    JOURNAL_FILE,
    KNOWN_HOSTS_FILE,
    MACHINE_FILE,
    SSH_CONFIG_FILE,
    is_name,
)
from lab.system import store
from lab.system.documents import Source, read

SCHEMA: Final = 1
EARLIER: Final = {"lock", "lock.holder"}  # of a version that kept its lock here
MACHINE_ID: Final = re.compile(r"[0-9a-f]{32}")
FILES: Final = (MACHINE_FILE, JOURNAL_FILE, HOST_KEY_FILE, IDENTITY_FILE, KNOWN_HOSTS_FILE, SSH_CONFIG_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What machine.json holds: a machine, or why it holds none ("" when there is no such file)."""

    machine: Machine | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schema:
    schema: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Local:
    kind: Literal["local"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredHandle:
    """`data` is read by the type of its provider."""

    provider: str
    name: str
    machine_id: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """The document. `endpoint` is read by its `kind`."""

    spec: MachineSpec
    handle: _StoredHandle | None
    endpoint: dict[str, Any] | None
    image_id: str
    accel: str
    ready_boot_id: str


class _Newer(ConfigError):
    """Written by a newer lab: must not be overwritten."""


def save(lab: Lab, machine: Machine) -> Machine:
    """Write it (the previous version is kept) and return it."""
    store.write_state(lab.paths.machine(machine.spec.name) / MACHINE_FILE, to_doc(machine), schema=SCHEMA)
    return machine


def load(lab: Lab, name: str) -> Machine | None:
    """The stored machine; None when there is none, or none that can be read.

    Raises ConfigError for a file of a newer lab.
    """
    return _look(lab, name).machine


def look(lab: Lab, name: str) -> Found:
    """As `load`, with the reason when it is None. Never raises."""
    try:
        return _look(lab, name)
    except _Newer as error:
        return Found(problem=error.message)


def _look(lab: Lab, name: str) -> Found:
    path = lab.paths.machine(name) / MACHINE_FILE
    problem = ""
    for candidate in (path, store.previous(path)):
        if not os.path.lexists(candidate):
            continue
        try:
            return Found(machine=_read(lab, name, candidate))
        except Unreadable as error:
            problem = problem or error.message
    return Found(problem=problem)


def _read(lab: Lab, name: str, path: Path) -> Machine:
    """Raises Unreadable, _Newer."""
    source = Source(path=path, name=str(path), fix=f"lab down {name}")
    schema = read(source, _Schema).schema
    if schema > SCHEMA:
        message = f"{path} was written by a newer lab (schema {schema}, this one reads up to {SCHEMA})"
        raise _Newer(message, fix=f"update lab, or use another --home, or remove the machine: lab down {name}")
    try:
        return _checked(read(source, _Stored), lab, name)
    except WireError as error:
        raise source.wrong(error) from error


def _checked(doc: _Stored, lab: Lab, name: str) -> Machine:
    """Checks beyond the types: the machine's name, and that its provider can use it. Raises WireError."""
    if doc.spec.name != name:
        raise WireError(f"{name} is expected, as its folder is called, not {shown(doc.spec.name)}").inside("spec.name")
    stored, handle = doc.handle, None
    if doc.spec.provider not in PROVIDERS:
        raise WireError(f"there is no provider {shown(doc.spec.provider)}").inside("spec.provider")
    if stored is not None:
        if stored.provider != doc.spec.provider:
            raise WireError(f"{doc.spec.provider} is expected, not {shown(stored.provider)}").inside("handle.provider")
        if not MACHINE_ID.fullmatch(stored.machine_id):
            raise WireError(f"32 hex digits are expected, not {shown(stored.machine_id)}").inside("handle.machine_id")
        # the folder may have been moved since the file was written
        whose = {"provider": stored.provider, "name": name, "machine_id": stored.machine_id}
        data = stored.data | whose | {"directory": str(lab.paths.machine(name))}
        try:
            handle = decode(PROVIDERS[stored.provider].HANDLE, data)
            if not handle.made:
                raise WireError("a key that `lab up` writes is missing")
        except WireError as error:
            raise error.inside("handle.data") from None
    return Machine(
        spec=doc.spec,
        handle=handle,
        endpoint=_endpoint(doc.endpoint),
        image_id=doc.image_id,
        accel=doc.accel,
        ready_boot_id=doc.ready_boot_id,
    )


def names(lab: Lab) -> list[str]:
    """Every machine of this home, also one of which only files are left."""
    if not lab.paths.machines.is_dir():
        return []
    return sorted(path.name for path in lab.paths.machines.iterdir() if is_name(path.name) and left(path))


def left(directory: Path) -> bool:
    """Whether any file of a machine is in that folder."""
    if not directory.is_dir():
        return os.path.lexists(directory)
    return any(path.name not in EARLIER for path in directory.iterdir())


def check_files(directory: Path) -> None:
    """Raise ProvisioningError when one of a machine's files is not a regular file."""
    for name in FILES:
        try:
            mode = (directory / name).lstat().st_mode
        except OSError:
            continue
        if not stat.S_ISREG(mode):
            raise ProvisioningError(f"{directory / name} is not a regular file", fix=f"lab down {directory.name}")


def to_doc(machine: Machine) -> dict[str, Any]:
    """Plain JSON values."""
    return {
        "spec": asdict(machine.spec),
        "handle": None if machine.handle is None else _handle_doc(machine.handle),
        "endpoint": _endpoint_doc(machine.endpoint),
        "image_id": machine.image_id,
        "accel": machine.accel,
        "ready_boot_id": machine.ready_boot_id,
    }


def _handle_doc(handle: Handle) -> dict[str, Any]:
    data = asdict(handle)
    return {**{key: data.pop(key) for key in ("provider", "name", "machine_id")}, "data": data}


def _endpoint_doc(endpoint: Endpoint | None) -> dict[str, Any] | None:
    match endpoint:
        case None:
            return None
        case LocalEndpoint():
            return {"kind": "local"}
        case SshEndpoint():
            return {"kind": "ssh", **asdict(StoredSsh.of(endpoint))}


def _endpoint(doc: dict[str, Any] | None) -> Endpoint | None:
    if doc is None:
        return None
    try:
        if doc.get("kind") == "ssh":
            return decode(StoredSsh, doc).endpoint()
        decode(_Local, doc)
    except WireError as error:
        raise error.inside("endpoint") from None
    return LocalEndpoint()
