"""Downloads pinned files over HTTP: resumes them, and verifies them before they get their final name."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.model.errors import LabError, PreconditionError, SecurityStop, TransientError
from lab.system import locks, store
from lab.system.wait import Deadline

PART_SUFFIX: Final = ".part"
LOCK_SUFFIX: Final = ".lock"
CHUNK_BYTES: Final = 1 << 18
TRIES: Final = 5
STALL_S: Final = 30.0
PAUSE_S: Final = 1.0
PAUSE_MAX_S: Final = 60.0
PORTAL_FIX: Final = "log in to this network (or set HTTPS_PROXY), then run the command again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """A file with known digest and size. digest: "sha256:HEX" or "sha512:HEX". size_bytes: exact."""

    url: str
    digest: str
    size_bytes: int

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Retry:
    """This try ended early; its data is kept."""

    reason: str
    after_s: float | None = None


def fetch(
    wanted: Pinned,
    target: Path,
    *,
    deadline: Deadline,
    on_bytes: Callable[[int, int], None] | None = None,
    stall_s: float = STALL_S,
    pause_s: float = PAUSE_S,
) -> Path:
    """Download `wanted` to `target`, which has the pinned digest whenever it exists; returns it.

    An existing file is hashed instead of fetched. An interrupted download is resumed by Range from TARGET.part.
    `on_bytes` gets (have, of). Raises SecurityStop (other bytes than pinned), TransientError (network; the next call
    resumes), PreconditionError (disk full, not found, a web page instead of the file), Locked, Cancelled.
    """
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = target.with_name(target.name + LOCK_SUFFIX)
    with locks.hold(lock, what=f"the download of {wanted.name}", deadline=deadline):
        if matches(target, wanted.digest):
            return target
        part = target.with_name(target.name + PART_SUFFIX)
        if part.exists() and part.stat().st_size > wanted.size_bytes:
            part.unlink()
        resumed = part.exists()
        _fill(wanted, part, deadline=deadline, on_bytes=on_bytes, stall_s=stall_s, pause_s=pause_s)
        if resumed and not matches(part, wanted.digest):
            # the old part may be of another file: only a complete download shows what the server has
            part.unlink()
            _fill(wanted, part, deadline=deadline, on_bytes=on_bytes, stall_s=stall_s, pause_s=pause_s)
        if not matches(part, wanted.digest):
            part.unlink()
            raise SecurityStop(
                f"{wanted.url} does not match the pinned {wanted.digest}; it was not used",
                fix="check the network and its mirrors; if the file was replaced upstream, update lab",
            )
        part.replace(target)
        store.sync_dir(target.parent)
        return target


def length(url: str, deadline: Deadline) -> int:
    """The size that the server announces for `url`. Raises PreconditionError, TransientError."""
    if not url.startswith(("https://", "http://")):
        raise PreconditionError(f"{url} is not an HTTP address", fix="correct the address")
    try:
        request = urllib.request.Request(url, method="HEAD", headers={"Accept-Encoding": "identity"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=min(STALL_S, deadline.left_s() + 0.1)) as reply:  # noqa: S310
            size = str(reply.headers.get("Content-Length", ""))
    except urllib.error.HTTPError as error:
        message = f"{url}: the server answered {error.code} {error.reason}"
        raise PreconditionError(message, fix="correct the address") from error
    except (ValueError, http.client.InvalidURL) as error:
        raise PreconditionError(f"{url} is not an HTTP address: {error}", fix="correct the address") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise TransientError(f"{url}: {error}", fix="run the command again") from error
    if not size.isdigit():
        raise PreconditionError(f"{url}: the server sends no Content-Length", fix="download it and use its path")
    return int(size)


def matches(path: Path, digest: str) -> bool:
    """Whether `path` is a file with this "ALGORITHM:HEX" digest. Reads all of it."""
    algorithm, _, expected = digest.partition(":")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest() == expected
    except FileNotFoundError:
        return False


def copy(source: Path, target: Path, digest: str, deadline: Deadline) -> Path:
    """Copy `source` to `target` and hash it while reading, so that later changes of `source` have no effect.

    Raises SecurityStop (other bytes than pinned), PreconditionError (disk full), Locked, Cancelled.
    """
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locks.hold(target.with_name(target.name + LOCK_SUFFIX), what=f"a copy of {source.name}", deadline=deadline):
        if matches(target, digest):
            return target
        part = target.with_name(target.name + PART_SUFFIX)
        algorithm, _, expected = digest.partition(":")
        found = hashlib.new(algorithm)
        wanted = Pinned(url=str(source), digest=digest, size_bytes=source.stat().st_size)
        with _disk_errors(part, wanted), source.open("rb") as theirs, part.open("wb") as ours:
            while chunk := theirs.read(CHUNK_BYTES):
                deadline.sleep(0)  # raises when cancelled
                found.update(chunk)
                ours.write(chunk)
        if found.hexdigest() != expected:
            part.unlink()
            message = f"{source} does not match the digest {digest}; it was not used"
            raise SecurityStop(message, fix="correct machine.digest, or check who changed the image")
        part.replace(target)
        return target


def _fill(
    wanted: Pinned,
    part: Path,
    *,
    deadline: Deadline,
    on_bytes: Callable[[int, int], None] | None,
    stall_s: float,
    pause_s: float,
) -> None:
    """Complete `part`. A try that received data does not count against TRIES."""
    fruitless = 0
    while True:
        have = part.stat().st_size if part.exists() else 0
        if have == wanted.size_bytes:
            return
        _need_space(part, wanted.size_bytes - have, wanted)
        outcome = _try(wanted, part, have, deadline=deadline, on_bytes=on_bytes, stall_s=stall_s)
        if outcome is None:
            continue
        now = part.stat().st_size if part.exists() else 0
        fruitless = 0 if now > have else fruitless + 1
        pause = outcome.after_s if outcome.after_s is not None else min(pause_s * 2**fruitless, PAUSE_MAX_S)
        if fruitless >= TRIES or pause >= deadline.left_s():
            raise TransientError(
                f"{wanted.url}: {outcome.reason} ({now} of {wanted.size_bytes} bytes are kept)",
                fix="run the command again: it resumes the download",
            )
        deadline.sleep(pause)


def _try(
    wanted: Pinned,
    part: Path,
    have: int,
    *,
    deadline: Deadline,
    on_bytes: Callable[[int, int], None] | None,
    stall_s: float,
) -> _Retry | None:
    """One request from `have` on; None when the server sent everything."""
    if not wanted.url.startswith(("https://", "http://")):
        raise PreconditionError(f"{wanted.url} is not an HTTP address", fix="correct the address")
    request = urllib.request.Request(wanted.url, headers={"Accept-Encoding": "identity"})  # noqa: S310 # checked above
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=min(stall_s, deadline.left_s() + 0.1)) as reply:  # noqa: S310
            return _receive(wanted, part, have, reply, deadline=deadline, on_bytes=on_bytes)
    except urllib.error.HTTPError as error:
        with error:
            return _refused(wanted, part, error)
    except TimeoutError:
        return _Retry(reason=f"no data for {stall_s:g} s")
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, TimeoutError):
            return _Retry(reason=f"no data for {stall_s:g} s")
        return _Retry(reason=f"the connection was lost ({reason})")


def _receive(
    wanted: Pinned,
    part: Path,
    have: int,
    reply: http.client.HTTPResponse,
    *,
    deadline: Deadline,
    on_bytes: Callable[[int, int], None] | None,
) -> _Retry | None:
    resumes = reply.status == 206 and reply.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    if not resumes:
        have = 0
    # read1 returns the data received so far, so a stall loses nothing; one byte past the size shows a longer file
    chunk = reply.read1(min(CHUNK_BYTES, wanted.size_bytes + 1 - have))
    if _is_page(chunk, reply) and not wanted.name.endswith((".html", ".htm")):  # before the good part is replaced
        raise PreconditionError(
            f"{wanted.url} returned a web page instead of {wanted.name}, probably of a captive portal or a proxy",
            fix=PORTAL_FIX,
        )
    with _disk_errors(part, wanted), part.open("ab" if resumes else "wb") as file:
        part.chmod(0o600)
        while chunk:
            file.write(chunk)
            have += len(chunk)
            if on_bytes is not None:
                on_bytes(min(have, wanted.size_bytes), wanted.size_bytes)
            if have > wanted.size_bytes:
                break
            deadline.sleep(0)  # raises when cancelled
            if deadline.passed():
                return _Retry(reason="it took too long")
            chunk = reply.read1(min(CHUNK_BYTES, wanted.size_bytes + 1 - have))
        file.flush()
        os.fsync(file.fileno())
    if have > wanted.size_bytes:
        part.unlink()
        raise SecurityStop(
            f"{wanted.url} is longer than the pinned {wanted.size_bytes} bytes; it was not used",
            fix="check the network and its mirrors; if the file was replaced upstream, update lab",
        )
    if have < wanted.size_bytes:
        return _Retry(reason=f"the server closed the connection after {have} of {wanted.size_bytes} bytes")
    return None


def _refused(wanted: Pinned, part: Path, error: urllib.error.HTTPError) -> _Retry:
    """An HTTP error as a reason to retry, or raised when a retry cannot help."""
    if error.code == 416:  # our part is not a beginning of the current file
        part.unlink(missing_ok=True)
        return _Retry(reason="the server cannot resume the download", after_s=0)
    if error.code in (408, 425, 429) or error.code >= 500:
        after = error.headers.get("Retry-After", "")
        return _Retry(
            reason=f"the server answered {error.code} {error.reason}", after_s=float(after) if after.isdigit() else None
        )
    if error.code in (407, 511):
        raise PreconditionError(f"{wanted.url}: the network requires a login ({error.code})", fix=PORTAL_FIX)
    raise PreconditionError(
        f"{wanted.url}: the server answered {error.code} {error.reason}",
        fix="check the mirror or proxy; else update lab",
    )


def _is_page(chunk: bytes, reply: http.client.HTTPResponse) -> bool:
    head = chunk[:256].lstrip().lower()
    return head.startswith((b"<!doctype html", b"<html")) or reply.headers.get_content_type() == "text/html"


def _need_space(part: Path, needed_bytes: int, wanted: Pinned) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed_bytes:
        raise _full(part, wanted, needed_bytes, free)


@contextlib.contextmanager
def _disk_errors(part: Path, wanted: Pinned) -> Iterator[None]:
    """Reports a disk that fills up during the download like one with too little space before."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        missing = wanted.size_bytes - part.stat().st_size
        raise _full(part, wanted, missing, shutil.disk_usage(part.parent).free) from error


def _full(part: Path, wanted: Pinned, needed_bytes: int, free_bytes: int) -> LabError:
    return PreconditionError(
        f"{part.parent} has {free_bytes} bytes free; {wanted.name} needs {needed_bytes} more",
        fix="lab cache prune, or --home DIR on a larger disk",
    )
