"""Built binaries by the digest of their inputs: found only when the file is still as published."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.forms.sources import Sources
from lab.guest.wire import decode, encode
from lab.model.errors import PreconditionError
from lab.model.form import Artifact
from lab.model.lab import Lab
from lab.model.own import Change
from lab.system import digests, store

SCHEMA: Final = 2
MANIFEST_FILE: Final = "manifest.json"
BINARY_FILE: Final = "binary"
SOURCES_FILE: Final = "sources.json"
TEMP_PREFIX: Final = ".making-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A new binary that is not in the cache yet. `inputs` are those of its key."""

    name: str
    key: str
    path: Path
    build_id: str
    cold_s: float
    inputs: dict[str, str]
    facts: dict[str, str] = field(default_factory=dict)
    made_by: dict[str, str] = field(default_factory=dict)
    made_of: Sources = field(default_factory=Sources)
    changes: tuple[Change, ...] = ()


def folder(lab: Lab, key: str) -> Path:
    return lab.paths.artifacts / key


def written(lab: Lab, key: str) -> bool:
    """Whether an entry under `key` is there that this version wrote: `find` reads and hashes it."""
    try:
        return bool(json.loads((folder(lab, key) / MANIFEST_FILE).read_text(encoding="utf-8"))["schema"] == SCHEMA)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def find(lab: Lab, key: str, name: str) -> Artifact | None:
    """The artifact under `key`, hashed again; None when it is missing, damaged or differs from its manifest."""
    place = folder(lab, key)
    try:
        doc = json.loads((place / MANIFEST_FILE).read_text(encoding="utf-8"))
        whole = doc["schema"] == SCHEMA and doc["key"] == key
        if not whole or (place / BINARY_FILE).stat().st_size != doc["size_bytes"]:
            return None
        if digests.of_file(place / BINARY_FILE) != doc["sha256"]:
            return None
        made_of = json.loads((place / SOURCES_FILE).read_text(encoding="utf-8"))
        if made_of["sha256"] != doc["sha256"]:
            return None
        store.mark_used(place)
        return Artifact(
            name=name,
            key=key,
            path=place / BINARY_FILE,
            sha256=doc["sha256"],
            size_bytes=doc["size_bytes"],
            build_id=doc["build_id"],
            cold_s=doc["cold_s"],
            facts=dict(doc["facts"]),
            made_by=dict(doc["made_by"]),
            modules=_texts(made_of["modules"]),
            woven_files=_texts(made_of["woven"]),
            changes=tuple(decode(Change, change) for change in doc["changes"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _texts(listed: list[str] | None) -> tuple[str, ...] | None:
    return None if listed is None else tuple(listed)


def publish(lab: Lab, built: Built) -> Artifact:
    """Put a binary into the cache atomically: written to a temporary folder, synced, renamed. Replaces an older one."""
    lab.paths.artifacts.mkdir(parents=True, exist_ok=True, mode=0o700)
    making = lab.paths.artifacts / f"{TEMP_PREFIX}{secrets.token_hex(6)}"
    making.mkdir(mode=0o700)
    try:
        binary = making / BINARY_FILE
        shutil.copyfile(built.path, binary)
        binary.chmod(0o700)
        _sync(binary)
        manifest = _manifest(built, binary)
        store.write_json(making / MANIFEST_FILE, manifest)
        made_of = {"sha256": manifest["sha256"], "modules": built.made_of.modules, "woven": built.made_of.woven}
        store.write_json(making / SOURCES_FILE, made_of)
        store.sync_dir(making)
        _swap(lab, making, folder(lab, built.key))
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    found = find(lab, built.key, built.name)
    if found is None:
        place = folder(lab, built.key)
        raise PreconditionError(f"{built.name} in {place} differs from what was written", fix="check the disk")
    return found


def _manifest(built: Built, binary: Path) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "name": built.name,
        "key": built.key,
        "sha256": digests.of_file(binary),
        "size_bytes": binary.stat().st_size,
        "build_id": built.build_id,
        "cold_s": built.cold_s,
        "inputs": built.inputs,
        "facts": built.facts,
        "made_by": built.made_by,
        "changes": encode(built.changes),
    }


def _swap(lab: Lab, making: Path, place: Path) -> None:
    """A folder cannot be renamed over a non-empty one: the old (corrupt) one is renamed first."""
    if place.exists():
        old = lab.paths.artifacts / f"{TEMP_PREFIX}old-{secrets.token_hex(6)}"
        place.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    making.rename(place)
    store.sync_dir(lab.paths.artifacts)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDWR)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
