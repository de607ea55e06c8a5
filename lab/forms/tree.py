"""The folder of binaries for the machine: one path for each artifact, one digest for all."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab.forms import cache
from lab.model.form import Artifact
from lab.model.lab import Lab
from lab.system import digests, locks
from lab.system.wait import Deadline

BIN_DIR: Final = "bin"
TREES_DIR: Final = "trees"
TREE_S: Final = 300.0


def tree_path(artifact: Artifact) -> str:
    """The artifact's path relative to the tree's root, as used in plans."""
    return f"{BIN_DIR}/{artifact.name}"


def artifact_tree(lab: Lab, artifacts: Mapping[str, Artifact]) -> tuple[Path, str]:
    """Create the tree (by hard links where possible) and return the folder and the tree's digest.

    The same artifacts give the same folder, which is created once; a damaged one is created again.
    """
    unique = {tree_path(artifact): artifact for artifact in artifacts.values()}
    listing = "".join(f"{path}\0{artifact.sha256}\n" for path, artifact in sorted(unique.items()))
    digest = hashlib.sha256(listing.encode()).hexdigest()
    place = lab.paths.artifacts / TREES_DIR / digest
    if _whole(place, unique):
        return place, digest
    lock = lab.paths.locks / f"tree-{digest[:16]}"
    with locks.hold(lock, what="the artifact tree", deadline=Deadline.after(TREE_S, lab.cancel)):
        if not _whole(place, unique):
            _lay(place, unique)
    return place, digest


def _whole(place: Path, unique: Mapping[str, Artifact]) -> bool:
    """Whether each file is the one in the cache (which was hashed when it was found), or a copy with its digest."""
    for path, artifact in unique.items():
        file = place / path
        if not file.is_file():
            return False
        if not file.samefile(artifact.path) and digests.of_file(file) != artifact.sha256:
            return False
    return True


def _lay(place: Path, unique: Mapping[str, Artifact]) -> None:
    making = place.with_name(f"{cache.TEMP_PREFIX}{secrets.token_hex(6)}")
    (making / BIN_DIR).mkdir(parents=True, mode=0o700)
    for path, artifact in unique.items():
        try:
            os.link(artifact.path, making / path)
        except OSError:
            shutil.copy2(artifact.path, making / path)
    shutil.rmtree(place, ignore_errors=True)
    making.rename(place)
