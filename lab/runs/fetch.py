"""Fetch the guest's folder: resumes by offset, verifies by digest, treats the stream as hostile."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

import lab
from lab.guest.wire import GuestManifest
from lab.model.errors import Cancelled, FetchError, LabError, SecurityStop
from lab.model.paths import DEVICES, MANIFEST_FILE
from lab.remote.base import Transport
from lab.runs.arrive import RESUME, Arrival, part_of, whole
from lab.system import store
from lab.system.pumps import Budget, Gather
from lab.system.wait import Deadline

__all__ = ["check_entries", "fetch", "whole"]

MAX_FILES: Final = 20_000
MAX_FILE_BYTES: Final = 1 << 30
MAX_TOTAL_BYTES: Final = 4 << 30
MAX_STREAM_BYTES: Final = MAX_TOTAL_BYTES + (64 << 20)  # with its frames and the manifest
MAX_SAID_BYTES: Final = 64 << 10
PACKER: Final = "guest/run/pack.py"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,120}")


def check_entries(manifest: GuestManifest) -> None:
    """Refuse a manifest with anything but regular files below its own folder. Raises SecurityStop."""
    names: set[str] = set()
    total = 0
    if len(manifest.files) > MAX_FILES:
        raise _refused(f"{len(manifest.files)} files, more than {MAX_FILES}")
    for entry in manifest.files:
        parts = PurePosixPath(entry.path).parts
        bad = not parts or entry.path != "/".join(parts) or not all(NAME.fullmatch(part) for part in parts)
        if bad or any(part.split(".")[0].lower() in DEVICES or part.endswith(".") for part in parts):
            raise _refused(f"the file name {entry.path[:80]!r}")
        if entry.path.lower() in names:
            raise _refused(f"two files that differ only by case: {entry.path!r}")
        names.add(entry.path.lower())
        total += entry.size
        if entry.size < 0 or entry.size > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES:
            raise _refused(f"a size of {entry.size} bytes for {entry.path!r}")
        if not re.fullmatch(r"[0-9a-f]{64}", entry.sha256):
            raise _refused(f"no SHA-256 for {entry.path!r}")


def _refused(what: str) -> SecurityStop:
    return SecurityStop(f"the machine's manifest has {what}; nothing was fetched", fix="lab down, then lab demo")


def fetch(
    transport: Transport, source: str, target: Path, deadline: Deadline, *, progress: Callable[[int, int], None]
) -> GuestManifest:
    """Copy the sealed folder `source` to `target` in one stream; existing data is not sent again.

    `progress(done_bytes, total_bytes)`. Raises FetchError (not sealed, incomplete; resumes), SecurityStop.
    """
    arrival = _bring(transport, source, target, deadline, progress)
    if arrival.bad:  # wrong data, here or received: fetch those files from the start
        arrival = _bring(transport, source, target, deadline, progress)
    if arrival.bad:
        path, why = next(iter(arrival.bad.items()))
        raise FetchError(f"{path} {why}, twice", fix="lab fetch")
    assert arrival.manifest is not None
    _remove_strangers(target, arrival.manifest)
    store.write_bytes(target / MANIFEST_FILE, bytes(arrival.raw))
    return arrival.manifest


def _have(target: Path) -> dict[str, int]:
    """The bytes of each file that are here, complete or in part. Removes symbolic links."""
    have: dict[str, int] = {}
    parts: dict[str, int] = {}
    for path in sorted(target.rglob("*")):
        if path.is_symlink():
            path.unlink()
        elif path.is_file():
            name = path.name.removeprefix(".").removesuffix(".part")
            whole_path = path.with_name(name)
            into = parts if path == part_of(whole_path) else have
            into[whole_path.relative_to(target).as_posix()] = path.stat().st_size
    have.pop(MANIFEST_FILE, None)  # of an earlier attempt
    return parts | have


def _bring(
    transport: Transport, source: str, target: Path, deadline: Deadline, progress: Callable[[int, int], None]
) -> Arrival:
    """Fetch the missing data in one stream."""
    arrival, stderr = Arrival(target, _have(target), check_entries, progress), Gather()
    script = (Path(lab.__file__).parent / PACKER).read_text(encoding="utf-8")
    try:
        code = transport.pipe(
            ["python3", "-I", "-S", "-c", script, source],
            deadline,
            stdin=(json.dumps(arrival.have).encode(),),
            out=arrival.feed,
            err=Budget("the machine's packer", MAX_SAID_BYTES).of(stderr.feed),
            max_output=MAX_STREAM_BYTES,
        )
    except (SecurityStop, FetchError, Cancelled):
        raise
    except LabError as error:
        raise FetchError(f"the transfer of {arrival.place} stopped: {error.message}", fix="lab fetch") from error
    except OSError as error:
        raise FetchError(f"cannot write {target}: {error}", fix="free disk space, then lab fetch") from error
    finally:
        arrival.close()
    if arrival.manifest is None:
        why = f"no {MANIFEST_FILE} in {source}" if code == 0 else f"it cannot be read (exit code {code})"
        raise FetchError(f"the run in the machine is not sealed: {why}", fix=RESUME, detail=_text(stderr))
    if not arrival.complete:
        raise FetchError(f"the transfer of {arrival.place} is incomplete", fix="lab fetch", detail=_text(stderr))
    return arrival


def _text(stderr: Gather) -> str | None:
    return stderr.data.decode("utf-8", "replace") or None


def _remove_strangers(target: Path, manifest: GuestManifest) -> None:
    """Remove files of earlier attempts that are not in this seal: another machine's cells, parts of files."""
    named = {entry.path for entry in manifest.files}
    for path in target.rglob("*"):
        if (path.is_file() or path.is_symlink()) and path.relative_to(target).as_posix() not in named:
            path.unlink()
