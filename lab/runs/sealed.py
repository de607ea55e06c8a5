"""Compare the files of a run with its manifest, before any report on it."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab.guest.wire import FileEntry, GuestManifest, canonical
from lab.model import paths
from lab.model.errors import FetchError
from lab.model.run import RunManifest
from lab.system import digests
from lab.system.documents import Source, decoded, read, shown_path, why_not

MAX_FILES: Final = 20_000
SHOWN: Final = 5
SELF_KEY: Final = "self_sha256"
FIX: Final = "restore an unchanged copy of the folder, or run lab demo again"
# files that are read of a run outside its guest/ folder
READ: Final = frozenset({paths.HOST_EVENTS_FILE})


def source(root: Path, name: str) -> Source:
    """A file of the run in `root`; messages name it by the run id, also while the run is incomplete."""
    return Source(path=root / name, name=f"{root.name.removeprefix(paths.INCOMPLETE_PREFIX)}/{name}", fix=FIX)


def self_digest(manifest: Mapping[str, object]) -> str:
    """The digest of manifest.json that it has itself: thresholds and identities are in no other sealed file."""
    return hashlib.sha256(canonical({key: value for key, value in manifest.items() if key != SELF_KEY})).hexdigest()


def check(root: Path) -> tuple[RunManifest, dict[str, int], tuple[str, ...]]:
    """Compare each file with the manifest, by size and SHA-256. Returns the manifest, every file with its size, and a
    note on files that could not be compared.

    Raises FetchError with the files that differ, Unreadable.
    """
    found = files = inventory(root)
    manifest, own = _manifest(root)
    named = manifest.files
    doubt: list[str] = []
    if not manifest.self_sha256:
        doubt.append(f"{paths.MANIFEST_FILE} has no digest of its own (an earlier lab wrote it): it was not compared")
    if named is None:
        named = _by_guest(root, manifest, files)
        doubt.append(
            f"{paths.MANIFEST_FILE} lists no files (an earlier lab wrote it): only {paths.GUEST_DIR}/ was compared"
        )
        files = {name: size for name, size in files.items() if name.startswith(f"{paths.GUEST_DIR}/")}
    changed = [f"{shown_path(name)} ({what})" for name, what in (own | differences(root, named, files)).items()]
    if changed:
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        what = f"changed since it was sealed: {', '.join(changed[:SHOWN])}{more}; no report was written"
        raise FetchError(f"{shown_path(root.name)}: {what}", fix=FIX)
    return manifest, found, tuple(doubt)


def glance(root: Path) -> tuple[RunManifest, dict[str, str]]:
    """The manifest of a run, and the files that differ from it by name or size; fast, since it reads no files.

    Raises FetchError, Unreadable.
    """
    files = inventory(root)
    manifest, own = _manifest(root)
    if manifest.files is None:
        return manifest, own
    return manifest, own | differences(root, manifest.files, files, by_content=False)


def _manifest(root: Path) -> tuple[RunManifest, dict[str, str]]:
    """The manifest, and its difference from its own digest, if any. Raises Unreadable."""
    file = source(root, paths.MANIFEST_FILE)
    doc = read(file, dict[str, object])
    manifest = decoded(file, RunManifest, doc)
    if not manifest.self_sha256 or manifest.self_sha256 == self_digest(doc):
        return manifest, {}
    return manifest, {paths.MANIFEST_FILE: "different content"}


def _by_guest(root: Path, manifest: RunManifest, files: Mapping[str, int]) -> tuple[FileEntry, ...]:
    """The files that the machine sealed, and the seal itself, whose digest is in the manifest."""
    name = f"{paths.GUEST_DIR}/{paths.MANIFEST_FILE}"
    guest = read(source(root, name), GuestManifest)
    own = FileEntry(name, files[name], manifest.guest_manifest_sha256 or _digest(root, name))
    return (own, *(FileEntry(f"{paths.GUEST_DIR}/{e.path}", e.size, e.sha256) for e in guest.files))


def differences(
    root: Path, named: tuple[FileEntry, ...], files: Mapping[str, int], *, by_content: bool = True
) -> dict[str, str]:
    """File -> its difference from the manifest; without `by_content` only names and sizes are compared."""
    found: dict[str, str] = {}
    for entry in named:
        if entry.path not in files:
            found[entry.path] = "missing"
        elif files[entry.path] != entry.size:
            found[entry.path] = f"{files[entry.path]} bytes, not {entry.size}"
        elif by_content and _digest(root, entry.path) != entry.sha256:
            found[entry.path] = "different content"
    known = {entry.path for entry in named}
    extra = (name for name in files if name not in known and (name in READ or name.startswith(f"{paths.GUEST_DIR}/")))
    return found | dict.fromkeys(extra, "not in the manifest")


def _digest(root: Path, name: str) -> str:
    try:
        return digests.of_file(root / name)
    except OSError as error:
        raise source(root, name).error(why_not(error)) from error


def inventory(root: Path) -> dict[str, int]:
    """Every file below `root` with its size. Raises FetchError for links, devices, unprintable names."""
    files: dict[str, int] = {}
    todo = [root]
    while todo:
        for path in sorted(_entries(root, todo.pop())):
            name = path.relative_to(root).as_posix()
            stat_ = path.lstat()
            if not name.isprintable():
                raise FetchError(
                    f"{shown_path(root.name)}: the name {name!a} has unprintable characters",
                    fix=f"remove it from {shown_path(str(root))}",
                )
            if stat.S_ISDIR(stat_.st_mode):
                todo.append(path)
            elif stat.S_ISREG(stat_.st_mode):
                files[name] = stat_.st_size
            else:
                raise FetchError(
                    f"{shown_path(root.name)}: {name!r} is neither a file nor a folder",
                    fix=f"rm {shown_path(str(path))}",
                )
            if len(files) + len(todo) > MAX_FILES:
                raise FetchError(f"{shown_path(root.name)}: more than {MAX_FILES} files", fix=FIX)
    return files


def _entries(root: Path, folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise source(root, folder.relative_to(root).as_posix()).error(why_not(error)) from error
