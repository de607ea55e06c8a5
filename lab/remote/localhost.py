"""The Transport to this host: the same interface without a network."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import Final

from lab.model.errors import FetchError, PreconditionError
from lab.remote.base import AGAIN, Transport
from lab.system import proc
from lab.system.pumps import Sink
from lab.system.starting import NotStarted
from lab.system.wait import Deadline

CHUNK_BYTES: Final = 1 << 20


class LocalTransport(Transport):
    """Nothing to close. A missing program gives exit code 127, as in a shell."""

    def pipe(
        self,
        argv: Sequence[str],
        deadline: Deadline,
        *,
        stdin: Iterable[bytes],
        out: Sink,
        err: Sink,
        max_output: int | None,
    ) -> int:
        cancellable = Deadline(deadline.at_s, deadline.cancel or self._lab.cancel)
        try:
            return proc.pipe(argv, stdin, out, err, deadline=cancellable, max_output=max_output)
        except NotStarted as error:
            if not isinstance(error.__cause__, PermissionError):
                raise
            err(f"{argv[0]}: permission denied\n".encode())
            return 126
        except PreconditionError:
            err(f"{argv[0]}: not found\n".encode())
            return 127

    def _read(self, path: str, offset: int, deadline: Deadline, *, must_exist: bool, max_bytes: int) -> Iterator[bytes]:
        try:
            file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  # closed below, on every way out
        except FileNotFoundError as error:
            if must_exist:
                raise FetchError(f"{path} does not exist", fix=AGAIN) from error
            return
        except OSError as error:
            raise FetchError(f"cannot read {path}: {error.strerror}", fix="check that file") from error
        with file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FetchError(f"{path} is not a regular file", fix="check that file")
            file.seek(offset)
            while max_bytes > 0 and (chunk := file.read(min(CHUNK_BYTES, max_bytes))):
                self._in_time(deadline, f"reading {path}")
                max_bytes -= len(chunk)
                yield chunk

    def _write(self, data: BufferedIOBase, target: str, deadline: Deadline, mode: int) -> None:
        path = Path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        temp = path.with_name(f"{path.name}.part.{secrets.token_hex(4)}")
        try:
            with temp.open("wb") as out:
                self._in_time(deadline, f"writing {target}")
                while chunk := data.read(CHUNK_BYTES):
                    self._in_time(deadline, f"writing {target}")
                    out.write(chunk)
            temp.chmod(mode & 0o700)  # this host has other users, unlike a machine
            temp.replace(path)
        finally:
            temp.unlink(missing_ok=True)


def _without_waiting(path: str, flags: int) -> int:
    """Open without blocking, so that a named pipe is refused instead of waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
