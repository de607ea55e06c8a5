"""The mounts of a run: the artifact disk by its serial, kernel file systems. Journalled, so that `undo` finds them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from lab.guest.linux.atomic_files import write_text
from lab.guest.linux.ending import content
from lab.guest.linux.procfs import parse_mounts, read

KERNEL_FS = (
    ("bpf", "/sys/fs/bpf"),
    ("securityfs", "/sys/kernel/security"),
    ("tracefs", "/sys/kernel/tracing"),
)

PLUG_S = 30.0  # an emulated guest takes seconds to detect a new disk


class MountFailed(Exception):
    """A mount failed; the text says which and why."""


def find_disk(serial: str, root: Path = Path("/sys/block")) -> str:
    """Device node of the disk with this serial. Raises MountFailed with the known serials."""
    names = {}
    for block in sorted(root.glob("*")):
        for name in ("serial", "device/serial"):
            text = read(block / name, "").strip()
            if text:
                names[text] = block.name
    if serial not in names:
        raise MountFailed("no disk with serial %s (known: %s)" % (serial, ", ".join(sorted(names)) or "none"))
    return "/dev/" + names[serial]


def mount_disk(serial: str, at: Path) -> str:
    """Mount the disk read-only; idempotent; returns its device. Waits for a disk that was just plugged in."""
    device = _wait_for_disk(serial)
    for source, target, _, _ in mounted():
        if target == str(at):
            if source != device:
                raise MountFailed("%s is already the mount point of %s" % (at, source))
            return device
    at.mkdir(parents=True, exist_ok=True)
    _call(["mount", "-o", "ro,nosuid,nodev", device, str(at)])
    return device


def _wait_for_disk(serial: str) -> str:
    deadline = time.monotonic() + PLUG_S
    while True:
        try:
            return find_disk(serial)
        except MountFailed:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def mount_kernel_fs(journal: Path) -> list[str]:
    """Mount bpffs, securityfs and tracefs where missing; returns the new mount points."""
    ours = _journal(journal)
    done = []
    for kind, target in KERNEL_FS:
        if any(row[1] == target and row[2] == kind for row in mounted()) or not os.path.isdir(target):
            continue
        if [kind, target] not in ours:
            ours.append([kind, target])
            write_text(journal, json.dumps(ours) + "\n")
        _call(["mount", "-t", kind, kind, target])
        done.append(target)
    return done


def undo(journal: Path) -> list[str]:
    """Unmount our mounts, newest first, where they are unchanged; idempotent."""
    undone = []
    for kind, target in reversed(_journal(journal)):
        if any(row[0] == kind and row[1] == target and row[2] == kind for row in mounted()):
            _call(["umount", target])
            undone.append(target)
    if journal.exists():
        journal.unlink()
    return undone


def mounted() -> list[tuple[str, str, str, str]]:
    return parse_mounts(read("/proc/self/mounts"))


def _journal(path: Path) -> list[list[str]]:
    try:
        return [[str(a), str(b)] for a, b in json.loads(content(str(path)))]
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def _call(argv: list[str]) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MountFailed("%s: %s" % (" ".join(argv), done.stderr.strip()))
