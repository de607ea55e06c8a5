"""Bring the guest's folder home: resumed by offset, verified by digest. What comes is hostile until proven whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

from lab.guest.wire import FileEntry, GuestManifest, WireError, load
from lab.model.errors import FetchError, LabError, SecurityStop
from lab.model.paths import DEVICES, MANIFEST_FILE
from lab.remote.base import Transport
from lab.system import store
from lab.system.wait import Deadline

MAX_FILES: Final = 20_000
MAX_FILE_BYTES: Final = 4 << 30
MAX_TOTAL_BYTES: Final = 16 << 30
MAX_MANIFEST_BYTES: Final = 16 << 20
TRIES: Final = 2
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,120}")


def check_entries(manifest: GuestManifest) -> None:
    """Refuse a manifest that names anything but plain files below its own folder. Raises SecurityStop."""
    seen: set[str] = set()
    total = 0
    if len(manifest.files) > MAX_FILES:
        raise _refused(f"{len(manifest.files)} files, more than {MAX_FILES}")
    for entry in manifest.files:
        parts = PurePosixPath(entry.path).parts
        bad = not parts or entry.path != "/".join(parts) or not all(NAME.fullmatch(part) for part in parts)
        if bad or any(part.split(".")[0].lower() in DEVICES or part.endswith(".") for part in parts):
            raise _refused(f"the file name {entry.path[:80]!r}")
        if entry.path.lower() in seen:
            raise _refused(f"two files that differ only by case: {entry.path!r}")
        seen.add(entry.path.lower())
        total += entry.size
        if entry.size < 0 or entry.size > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES:
            raise _refused(f"a size of {entry.size} bytes for {entry.path!r}")
        if not re.fullmatch(r"[0-9a-f]{64}", entry.sha256):
            raise _refused(f"no SHA-256 for {entry.path!r}")


def _refused(what: str) -> SecurityStop:
    return SecurityStop(f"the machine's manifest holds {what}; nothing was fetched", fix="lab down, then lab demo")


def fetch(
    transport: Transport, source: str, target: Path, deadline: Deadline, *, progress: Callable[[int, int], None]
) -> GuestManifest:
    """Copy the sealed folder `source` to `target`; files that are already whole are not sent again.

    `progress(done_bytes, total_bytes)`. Raises FetchError (not sealed, not whole; resumes), SecurityStop.
    """
    raw = b"".join(transport.stream(f"{source}/{MANIFEST_FILE}", 0, deadline))
    if len(raw) > MAX_MANIFEST_BYTES:
        raise _refused(f"{len(raw)} bytes")
    try:
        manifest = load(GuestManifest, raw)
    except WireError as error:
        raise FetchError(f"the run in the machine is not sealed: {error}", fix="lab fetch") from error
    check_entries(manifest)
    total = sum(entry.size for entry in manifest.files)
    done = 0
    for entry in manifest.files:
        base = done
        _fetch_file(transport, source, target, entry, deadline, lambda n, b=base: progress(b + n, total))  # type: ignore[misc]  # default binds
        done += entry.size
        progress(done, total)
    _remove_strangers(target, manifest)
    store.write_bytes(target / MANIFEST_FILE, raw)
    return manifest


def _remove_strangers(target: Path, manifest: GuestManifest) -> None:
    """What an earlier try brought and this seal does not name: another machine's cells, parts of files."""
    named = {entry.path for entry in manifest.files}
    for path in target.rglob("*"):
        if (path.is_file() or path.is_symlink()) and path.relative_to(target).as_posix() not in named:
            path.unlink()


def whole(path: Path, entry: FileEntry) -> bool:
    """Is the file at `path` the one that the manifest names?"""
    return (
        path.is_file() and not path.is_symlink() and path.stat().st_size == entry.size and sha256(path) == entry.sha256
    )


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_file(
    transport: Transport,
    source: str,
    target: Path,
    entry: FileEntry,
    deadline: Deadline,
    progress: Callable[[int], None],
) -> None:
    final = target / entry.path
    if whole(final, entry):
        return
    final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = final.with_name(final.name + ".part")
    for attempt in range(TRIES):
        have = part.stat().st_size if part.exists() else 0
        if have > entry.size:
            part.unlink()
            have = 0
        if have < entry.size or entry.size == 0:
            _get(transport, f"{source}/{entry.path}", part, entry, have, deadline, progress)
        if whole(part, entry):
            part.replace(final)
            store.sync_dir(final.parent)
            return
        part.unlink(missing_ok=True)
        if attempt + 1 == TRIES:
            raise FetchError(
                f"{entry.path} is not what its manifest says, twice (size {entry.size}, sha256 {entry.sha256[:12]}…)",
                fix="lab fetch",
            )


def _get(
    transport: Transport,
    remote: str,
    part: Path,
    entry: FileEntry,
    offset: int,
    deadline: Deadline,
    progress: Callable[[int], None],
) -> None:
    if entry.size == 0:
        part.write_bytes(b"")
        return
    try:
        transport.get(remote, part, deadline, offset=offset, progress=progress)
    except (SecurityStop, FetchError):
        raise
    except LabError as error:
        raise FetchError(f"{entry.path} did not arrive whole: {error.message}", fix="lab fetch") from error
    except OSError as error:
        raise FetchError(f"{part} cannot be written: {error}", fix="free disk space, then lab fetch") from error
