"""machine.json: what was made, never whether it lives. Anything that can be asked is asked instead."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from lab.model.lab import Lab
from lab.model.machine import Endpoint, Handle, LocalEndpoint, Machine, MachineSpec, SshEndpoint
from lab.model.paths import JOURNAL_FILE, MACHINE_FILE, is_name
from lab.system import store

SCHEMA: Final = 1


def save(lab: Lab, machine: Machine) -> Machine:
    """Write it (the generation before is kept) and hand it back."""
    store.write_state(lab.paths.machine(machine.spec.name) / MACHINE_FILE, to_doc(machine), schema=SCHEMA)
    return machine


def load(lab: Lab, name: str) -> Machine | None:
    """What was saved; None when there is nothing, or nothing that can be read: then it is made again by probing."""
    path = lab.paths.machine(name) / MACHINE_FILE
    found: Machine | None = store.read_state(path, schema=SCHEMA, read_one=from_doc)
    return found


def names(lab: Lab) -> list[str]:
    """Every machine of this home, also one whose making was interrupted."""
    if not lab.paths.machines.is_dir():
        return []
    marks = (MACHINE_FILE, JOURNAL_FILE)
    folders = (folder for folder in lab.paths.machines.iterdir() if is_name(folder.name))
    return sorted(folder.name for folder in folders if any((folder / mark).exists() for mark in marks))


def to_doc(machine: Machine) -> dict[str, Any]:
    """Plain JSON values."""
    return {
        "spec": asdict(machine.spec),
        "handle": None if machine.handle is None else asdict(machine.handle),
        "endpoint": _endpoint_doc(machine.endpoint),
        "image_id": machine.image_id,
        "accel": machine.accel,
        "ready_boot_id": machine.ready_boot_id,
    }


def from_doc(doc: dict[str, Any]) -> Machine:
    """The inverse of `to_doc`; keys that a newer patch release added are left out."""
    known = {f.name for f in fields(MachineSpec)}
    return Machine(
        spec=MachineSpec(**{key: value for key, value in doc["spec"].items() if key in known}),
        handle=None if doc["handle"] is None else Handle(**doc["handle"]),
        endpoint=_endpoint(doc["endpoint"]),
        image_id=doc["image_id"],
        accel=doc["accel"],
        ready_boot_id=doc["ready_boot_id"],
    )


def _endpoint_doc(endpoint: Endpoint | None) -> dict[str, Any] | None:
    match endpoint:
        case None:
            return None
        case LocalEndpoint():
            return {"kind": "local"}
        case SshEndpoint():
            identity = None if endpoint.identity_file is None else str(endpoint.identity_file)
            return {"kind": "ssh", **asdict(endpoint), "identity_file": identity}


def _endpoint(doc: dict[str, Any] | None) -> Endpoint | None:
    if doc is None:
        return None
    if doc["kind"] == "local":
        return LocalEndpoint()
    given = {key: value for key, value in doc.items() if key != "kind"}
    identity = given["identity_file"]
    return SshEndpoint(**{**given, "identity_file": None if identity is None else Path(identity)})
