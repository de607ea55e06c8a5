"""LAB_HOME is this user's alone: folders 0700, files 0600 (programs 0700), whatever the umask was when they were made.

`MASK` is set once, at the start, so that nothing else can be made, by us or by a program that we start. What an older
`lab` made is put right when it is first seen.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lab.model.errors import PreconditionError

MASK: Final = 0o077
FOLDERS: Final = ("cache", "locks", "logs", "machines", "runs")
FILES: Final = ("config.yaml",)
BAKING: Final = "baking-"  # a tree that becomes a machine's: its modes are that machine's


@contextlib.contextmanager
def begun() -> Iterator[None]:
    """This process and its children make files for this user alone."""
    before = os.umask(MASK)
    try:
        yield
    finally:
        os.umask(before)


def ensure(home: Path) -> None:
    """Put right what is there; quick where nothing is to do. Makes nothing.

    Raises PreconditionError for a home that somebody else made: they could put programs into it; and where something
    else is in the place of a folder: nothing is not the same as what cannot be seen.
    """
    _need_folders(home)
    if sys.platform == "win32" or not home.is_dir():
        return
    ours = [folder for name in FOLDERS if (folder := home / name).is_dir()]
    for place in (home, *ours):
        if not _trusted(place):
            raise PreconditionError(f"{place} belongs to another user", fix="give --home DIR, a folder of your own")
    if {entry.name for entry in home.iterdir()} <= {*FOLDERS, *FILES}:  # else it is more than our home
        ours.append(home)
    if any(_open(place.stat().st_mode) for place in ours):
        for place in ours:
            sweep(place)


def _need_folders(home: Path) -> None:
    """`logs` is left out: a command goes on without its log, after a warning."""
    nearest = next((place for place in (home, *home.parents) if os.path.lexists(place)), home)
    if os.path.lexists(nearest) and not nearest.is_dir():
        raise PreconditionError(f"{nearest} is not a folder", fix="give --home DIR, a folder of your own")
    for name in FOLDERS:
        if name != "logs":
            need_folder(home / name)


def need_folder(place: Path) -> None:
    """Raise PreconditionError where something else has a folder's name."""
    if os.path.lexists(place) and not place.is_dir():
        what = "is a link that leads nowhere" if place.is_symlink() else "is not a folder"
        raise PreconditionError(f"{place} {what}", fix=f"remove {place}, or move it away")


def need_programs(home: Path) -> None:
    """Raise PreconditionError where what is built and fetched could not be run."""
    place = next((place for place in (home, *home.parents) if place.exists()), None)
    if sys.platform == "linux" and place is not None and os.statvfs(place).f_flag & os.ST_NOEXEC:
        raise PreconditionError(f"programs cannot run from {home} (mounted noexec)", fix="give --home DIR elsewhere")


def sweep(top: Path) -> None:
    """Take all rights of others from `top` and everything in it, `top` itself last: a sweep that is cut is repeated."""
    for folder, names, files in os.walk(top.resolve(), topdown=True):
        names[:] = [name for name in names if not name.startswith(BAKING)]
        for name in (*files, *names):
            _close(Path(folder) / name)
    _close(top.resolve())


def _close(path: Path) -> None:
    with contextlib.suppress(OSError):  # gone meanwhile, or on a file system without modes
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and _open(mode):
            path.chmod(stat.S_IMODE(mode) & ~MASK)


def _open(mode: int) -> bool:
    return bool(mode & MASK)


def _trusted(place: Path) -> bool:
    """Ours, the system's, or of whoever became root for this by `sudo`."""
    if sys.platform == "win32":
        return True  # no owner to compare with: the profile's own rights hold
    me = os.geteuid()
    sudo = os.environ.get("SUDO_UID", "") if me == 0 else ""
    return place.stat().st_uid in {me, 0, int(sudo) if sudo.isdecimal() else me}
