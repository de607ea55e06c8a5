"""One writer at a time: locks that the operating system drops when their process ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from lab.guest.wire import Range
from lab.model.errors import Locked, PreconditionError, Unreadable
from lab.system import documents, store
from lab.system.wait import Deadline, NotYet, until

# Beside the lock, since Windows lets nobody read a locked file. It informs; only the lock itself decides.
HOLDER_SUFFIX: Final = ".holder"
# something else has the place of the lock or of its folder; a full or read-only disk is another matter
IN_THE_WAY: Final = frozenset((errno.EISDIR, errno.ELOOP, errno.EEXIST, errno.ENOTDIR, errno.ENXIO))


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a lock: pid with its start time (a pid alone may be anyone's), command line, since when (UTC)."""

    pid: Annotated[int, Range(1, (1 << 31) - 1)]
    started_s: float
    command: str
    since: str

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.command}), since {self.since}"


@contextlib.contextmanager
def hold(
    path: Path,
    *,
    what: str,
    deadline: Deadline,
    fix: str = "wait for it, or give --lock-timeout SECONDS",
    on_wait: Callable[[Holder | None], None] | None = None,
) -> Iterator[None]:
    """Hold the lock file `path` inside the block; `what` names the thing locked, for people.

    Waits until the deadline (one in the past: one try); `on_wait` hears once who is waited for. Raises Locked naming
    the holder, Cancelled, PreconditionError where something else has the place of the lock. A killed holder's lock is
    free at once. The file stays, unless its holder removes it inside the block.
    """
    fd = _open(path)
    told = False

    def attempt() -> bool | NotYet:
        nonlocal told, fd
        while _taken(fd):
            if _still_at(fd, path):
                return True
            os.close(fd)  # its last holder removed the file: the lock that others see is a new one
            fd = _open(path)
        seen = holder(path)
        if on_wait is not None and not told and not deadline.passed():
            on_wait(seen)
        told = True
        return NotYet(reason=str(seen or "another command"))

    try:
        try:
            until(attempt, what=what, deadline=deadline, hint=fix, error=_Busy)
        except _Busy as busy:
            raise Locked(f"{what} is in use by {holder(path) or 'another command'}", fix=fix) from busy
        try:
            with contextlib.suppress(OSError):
                store.write_json(_beside(path), asdict(_me()))
            yield
        finally:
            with contextlib.suppress(OSError):
                store.retry_while_open(lambda: _beside(path).unlink(missing_ok=True))
    finally:
        os.close(fd)  # lets go of the lock too


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno not in IN_THE_WAY and not path.is_dir():  # Windows: EACCES for a folder
            raise
        place = path.parent if path.parent.exists() and not path.parent.is_dir() else Path(error.filename or path)
        message = f"the lock {path} cannot be opened: {place}: {documents.why_not(error)}"
        raise PreconditionError(message, fix=f"remove {place}") from error


def _still_at(fd: int, path: Path) -> bool:
    """Whether `path` still names the open file: a holder may remove its lock with all that it guarded."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _taken(fd: int) -> bool:
    """Try once to take the lock; False when someone else has it. Kept until the descriptor is closed."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:  # what it says of a byte that is locked differs: EACCES on Windows, 0 under Wine
            return False
        return True
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def holder(path: Path) -> Holder | None:
    """Who says to hold `path`; None when nobody does, or when that process is gone. Needs no lock."""
    import psutil

    beside = _beside(path)
    try:
        seen = documents.read(documents.Source(path=beside, name=str(beside), fix=""), Holder)
        alive = abs(psutil.Process(seen.pid).create_time() - seen.started_s) < 1
    except (Unreadable, psutil.Error):
        return None
    return seen if alive else None


class _Busy(Locked):
    """Time ran out while waiting; becomes Locked with the holder's name."""


def _me() -> Holder:
    import psutil

    return Holder(
        pid=os.getpid(),
        started_s=psutil.Process().create_time(),
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        since=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _beside(path: Path) -> Path:
    return path.with_name(path.name + HOLDER_SUFFIX)
