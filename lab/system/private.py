"""LAB_HOME is private to this user: folders 0700, files 0600 (programs 0700), independent of the umask.

`MASK` is set once, at the start, for this process and the programs that it starts. The modes of an older `lab`'s files
are corrected when they are first seen.
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
from lab.model.paths import Paths

MASK: Final = 0o077
FILES: Final = ("config.yaml",)
BAKING: Final = "baking-"  # a machine's file tree, which keeps its modes


@contextlib.contextmanager
def begun() -> Iterator[None]:
    """This process and its children create private files."""
    before = os.umask(MASK)
    try:
        yield
    finally:
        os.umask(before)


def ensure(home: Path) -> None:
    """Correct the modes of existing files; fast when there is nothing to do. Creates nothing.

    Raises PreconditionError for a home of another user, who could put programs into it, and for another kind of file
    in place of a folder, which must not count as missing.
    """
    _need_folders(home)
    if sys.platform == "win32" or not home.is_dir():
        return
    folders = Paths(home=home).folders
    ours = [folder for folder in folders if folder.is_dir()]
    for place in (home, *ours):
        if not _trusted(place):
            raise PreconditionError(f"{place} belongs to another user", fix="use --home DIR with a folder of your own")
    known = {*(folder.name for folder in folders), *FILES}
    if {entry.name for entry in home.iterdir()} <= known:  # otherwise the folder is not only our home
        ours.append(home)
    if any(_open(place.stat().st_mode) for place in ours):
        for place in ours:
            sweep(place)


def _need_folders(home: Path) -> None:
    """`logs` is not checked: a command runs without its log, after a warning."""
    nearest = next((place for place in (home, *home.parents) if os.path.lexists(place)), home)
    if os.path.lexists(nearest) and not nearest.is_dir():
        raise PreconditionError(f"{nearest} is not a folder", fix="use --home DIR with a folder of your own")
    paths = Paths(home=home)
    for folder in paths.folders:
        if folder != paths.logs:
            need_folder(folder)


def need_folder(place: Path) -> None:
    """Raise PreconditionError when `place` exists and is not a folder."""
    if os.path.lexists(place) and not place.is_dir():
        what = "is a broken link" if place.is_symlink() else "is not a folder"
        raise PreconditionError(f"{place} {what}", fix=f"remove {place}, or move it away")


def need_programs(home: Path) -> None:
    """Raise PreconditionError when programs in this home cannot be executed."""
    place = next((place for place in (home, *home.parents) if place.exists()), None)
    if sys.platform == "linux" and place is not None and os.statvfs(place).f_flag & os.ST_NOEXEC:
        raise PreconditionError(f"programs cannot run from {home} (mounted noexec)", fix="use another --home DIR")


def sweep(top: Path) -> None:
    """Remove all rights of other users from `top` and its content, `top` last, so that a cut sweep is repeated."""
    for folder, names, files in os.walk(top.resolve(), topdown=True):
        names[:] = [name for name in names if not name.startswith(BAKING)]
        for name in (*files, *names):
            _close(Path(folder) / name)
    _close(top.resolve())


def _close(path: Path) -> None:
    with contextlib.suppress(OSError):  # removed meanwhile, or on a file system without modes
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and _open(mode):
            path.chmod(stat.S_IMODE(mode) & ~MASK)


def _open(mode: int) -> bool:
    return bool(mode & MASK)


def _trusted(place: Path) -> bool:
    """Owned by this user, by root, or by the user of `sudo`."""
    if sys.platform == "win32":
        return True  # no owner to compare: the profile's permissions apply
    me = os.geteuid()
    sudo = os.environ.get("SUDO_UID", "") if me == 0 else ""
    return place.stat().st_uid in {me, 0, int(sudo) if sudo.isdecimal() else me}


def is_root() -> bool:
    """Whether this process has every right; never on Windows."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
