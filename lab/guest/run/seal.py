"""The seal: manifest.json, written last, lists every file with size and digest."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lab.guest.linux.atomic_files import sha256_file, write_text
from lab.guest.linux.procfs import boot_id
from lab.guest.wire import MANIFEST_FILE, STATE_FILE, FileEntry, GuestManifest, dump, load

WORK_DIR = "work"  # scratch: sockets, databases, files still being written
LOCK_FILE = "lock"
LAUNCH_LOG = "launch.log"  # output of a detached start; still open while the folder is sealed
UNSEALED = frozenset((MANIFEST_FILE, STATE_FILE, LOCK_FILE, LAUNCH_LOG))


def entries(out: Path) -> tuple[FileEntry, ...]:
    """Every regular file that belongs to the result, by path."""
    found = []
    for path in sorted(out.rglob("*")):
        relative = path.relative_to(out)
        hidden = any(part.startswith(".") for part in relative.parts)
        if (
            hidden
            or relative.parts[0] == WORK_DIR
            or str(relative) in UNSEALED
            or path.is_symlink()
            or not path.is_file()
        ):
            continue
        entry = FileEntry(path=relative.as_posix(), size=path.stat().st_size, sha256=sha256_file(path))
        found.append(entry)
    return tuple(found)


def seal(
    out: Path, run_id: str, digest: str, cells: tuple[str, ...], outcome: Literal["complete", "failed"], reason: str
) -> GuestManifest:
    """Write the manifest; its files must not change afterwards."""
    manifest = GuestManifest(
        run_id=run_id,
        plan_digest=digest,
        boot_id=boot_id(),
        cells=cells,
        files=entries(out),
        outcome=outcome,
        reason=reason,
    )
    write_text(out / MANIFEST_FILE, dump(manifest) + "\n")
    return manifest


def read_seal(out: Path) -> GuestManifest | None:
    """The manifest, when the folder is sealed."""
    try:
        return load(GuestManifest, (out / MANIFEST_FILE).read_bytes())
    except (OSError, ValueError):
        return None
