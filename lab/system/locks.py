"""File locks: the operating system releases them when their process ends, however it ends."""

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

# A separate file, since a locked file cannot be read on Windows. It is informative; only the lock itself decides.
HOLDER_SUFFIX: Final = ".holder"
# another kind of file is in place of the lock or its folder; not a full or read-only disk
IN_THE_WAY: Final = frozenset((errno.EISDIR, errno.ELOOP, errno.EEXIST, errno.ENOTDIR, errno.ENXIO))


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The holder of a lock: pid with its start time (pids are reused), command line, since when (UTC)."""

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
    fix: str = "wait until it ends, or set --lock-timeout SECONDS",
    on_wait: Callable[[Holder | None], None] | None = None,
) -> Iterator[None]:
    """Hold the lock file `path` inside the block; `what` names the locked thing in messages.

    Waits until the deadline (one in the past: one try); `on_wait` gets the holder once. Raises Locked naming the
    holder, Cancelled, PreconditionError when `path` is not a regular file. A killed holder's lock is free at once.
    The file stays, unless its holder removes it inside the block.
    """
    fd = _open(path)
    waiting = False

    def attempt() -> bool | NotYet:
        nonlocal waiting, fd
        while _taken(fd):
            if _still_at(fd, path):
                return True
            os.close(fd)  # its last holder removed the file: others see a new one
            fd = _open(path)
        current = holder(path)
        if on_wait is not None and not waiting and not deadline.passed():
            on_wait(current)
        waiting = True
        return NotYet(reason=str(current or "another command"))

    try:
        try:
            until(attempt, what=what, deadline=deadline, hint=fix, error=_Busy)
        except _Busy:
            raise Locked(f"{what} is in use by {holder(path) or 'another command'}", fix=fix) from None
        try:
            with contextlib.suppress(OSError):
                store.write_json(_beside(path), asdict(_me()))
            yield
        finally:
            with contextlib.suppress(OSError):
                store.retry_while_open(lambda: _beside(path).unlink(missing_ok=True))
    finally:
        os.close(fd)  # also releases the lock


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno not in IN_THE_WAY and not path.is_dir():  # Windows: EACCES for a folder
            raise
        place = path.parent if path.parent.exists() and not path.parent.is_dir() else Path(error.filename or path)
        message = f"cannot open the lock {path}: {place}: {documents.why_not(error)}"
        raise PreconditionError(message, fix=f"remove {place}") from error


def _still_at(fd: int, path: Path) -> bool:
    """Whether `path` still names the open file: a holder may remove its lock with the locked folder."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _taken(fd: int) -> bool:
    """Try once to take the lock; False when it is held. Kept until the descriptor is closed."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:  # the errno for a locked byte differs: EACCES on Windows, 0 under Wine
            return False
        return True
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def holder(path: Path) -> Holder | None:
    """The recorded holder of `path`; None without one, or when its process exited. Needs no lock."""
    import psutil

    beside = _beside(path)
    try:
        recorded = documents.read(documents.Source(path=beside, name=str(beside), fix=""), Holder)
        alive = abs(psutil.Process(recorded.pid).create_time() - recorded.started_s) < 1
    except (Unreadable, psutil.Error):
        return None
    return recorded if alive else None


class _Busy(Locked):
    """The deadline has passed; replaced by Locked with the holder's name."""


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
