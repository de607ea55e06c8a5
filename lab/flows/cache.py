"""The cache: its entries with sizes, and which of them may be removed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.flows.request import DemoRequest
from lab.forms import cache_keys
from lab.forms.cache import SCHEMA, written
from lab.machines import disks_in_use, lifecycle, steps
from lab.machines.images import golden
from lab.model.errors import PreconditionError
from lab.model.lab import Lab
from lab.model.machine import Machine

KEEP_S: Final = 14 * 86400.0  # entries used within two weeks stay


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """bytes: on disk; idle_s: since its last use."""

    path: str
    bytes: int
    idle_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheKey:
    """An entry that a demo needs. path: below the cache, named by the digest of all inputs."""

    path: str
    what: str
    there: bool


def listing(lab: Lab) -> list[CacheEntry]:
    """Entries of each part of the cache."""
    paths = lab.paths
    built = (paths.artifacts, paths.artifacts / "disks", paths.build)
    parts = (paths.images, paths.kernels, paths.boxes, *built, paths.downloads)
    entries = [entry for part in parts if part.is_dir() for entry in sorted(part.iterdir())]
    shown = [entry for entry in entries if entry.name != "disks" and not entry.name.startswith(".")]
    used: dict[Path, float] = {}
    for entry in shown:
        used[_whole(entry)] = max(used.get(_whole(entry), 0.0), _used_at(entry))
    return [CacheEntry(path=str(e), bytes=size(e), idle_s=time.time() - used[_whole(e)]) for e in shown]


def _whole(entry: Path) -> Path:
    """What an entry is a part of: a file without its seal or digest beside it is built again."""
    return entry if entry.is_dir() else entry.with_name(entry.name.partition(".")[0])


def _used_at(entry: Path) -> float:
    """The time of its last use, as `store.mark_used` sets it; a folder is accessed by looking at it already."""
    found = entry.stat()
    return found.st_mtime if entry.is_dir() else max(found.st_atime, found.st_mtime)


def keys(lab: Lab, asked: DemoRequest) -> list[CacheKey]:
    """The entries that a demo needs.

    Builds only the toolchain, which is an input of the image. An entry under another name is never used, so a CI cache
    may restore too much or too little.
    """
    spec = lab.config.machine.spec()
    features = steps.provider_of(Machine(spec=spec)).FEATURES  # raises for a mistyped one before anything is fetched
    found = {}
    go = golden.go_root(lab)
    if go.is_relative_to(lab.paths.cache):
        found[go] = f"toolchain {golden.GO_VERSION}"
    if features.custom_kernel:
        found[lab.paths.images / golden.wanted(lab, spec)] = f"image {spec.image}"
    built = {key: what for what, key in cache_keys.keys(lab, asked.forms, asked.service, spec.arch).items()}
    rows = [(path, what, path.is_dir()) for path, what in found.items()]
    rows += [(lab.paths.artifacts / key, what, written(lab, key)) for key, what in built.items()]
    return [
        CacheKey(path=path.relative_to(lab.paths.cache).as_posix(), what=what, there=there)
        for path, what, there in rows
    ]


def digest(rows: Iterable[CacheKey]) -> str:
    """One key for all entries, as this version writes them."""
    names = "".join(f"{path}\n" for path in sorted(row.path for row in rows))
    return hashlib.sha256(f"{SCHEMA}\n{names}".encode()).hexdigest()


def size(path: Path) -> int:
    """Bytes allocated on disk (of sparse images only the data)."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file() and not p.is_symlink()]
    return sum(_on_disk(p.stat()) for p in files)


def _on_disk(stat: os.stat_result) -> int:
    if sys.platform == "win32":  # has no st_blocks
        return stat.st_size
    return stat.st_blocks * 512


def prune(lab: Lab) -> int:
    """Remove entries that were not used for two weeks and that no machine uses; returns bytes freed."""
    used = _in_use(lab)
    freed = 0
    for row in listing(lab):
        path = Path(row.path)
        if row.idle_s < KEEP_S or _whole(path) in used:
            continue
        freed += row.bytes
        if path.is_dir():
            _remove_tree(path)
        else:
            path.unlink(missing_ok=True)
    return freed


def _in_use(lab: Lab) -> set[Path]:
    """What machines and their snapshots need."""
    machines = [lifecycle.machine(lab, name) for name in lifecycle.names(lab)]
    # with a custom kernel the id is IMAGE+KERNEL
    idents = {part for machine in machines if machine is not None for part in machine.image_id.split("+")}
    parts = (lab.paths.images, lab.paths.kernels, lab.paths.boxes)
    disks = {_whole(lab.paths.artifacts / "disks" / name) for name in disks_in_use.names(lab)}
    return {part / ident for part in parts for ident in idents} | disks


def export(lab: Lab, ident: str, target: Path) -> str:
    """Write one image to a file; returns its digest. See `image_archive.export` for what it raises."""
    from lab.machines.images import archive as image_archive

    return image_archive.export(lab, ident, target)


def purge(lab: Lab) -> None:
    """Remove the whole cache. Raises PreconditionError while a machine exists."""
    if lifecycle.names(lab):
        raise PreconditionError("machines still use the cache", fix="lab down --all --purge")
    _remove_tree(lab.paths.cache)


def _remove_tree(path: Path) -> None:
    """Go's module cache is read-only: make it writable first."""
    for folder in (path, *(p for p in path.rglob("*") if p.is_dir() and not p.is_symlink())):
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
