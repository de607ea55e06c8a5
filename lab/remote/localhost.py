"""The Transport on this very Linux: the same promises without a network."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lab.model.errors import Cancelled, FetchError, LabError, PreconditionError, TransientError
from lab.model.lab import Lab
from lab.remote.streams import append
from lab.system import proc
from lab.system.proc import Result
from lab.system.pumps import MAX_OUTPUT, Gather, Sink
from lab.system.wait import Deadline

CHUNK_BYTES: Final = 1 << 20


class LocalTransport:
    """Satisfies `Transport`; there is nothing to close."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(
        self,
        argv: Sequence[str],
        deadline: Deadline,
        *,
        stdin: bytes | None = None,
        on_line: Callable[[str], None] | None = None,
        max_output: int = MAX_OUTPUT,
    ) -> Result:
        """Run to the end. A program that does not exist is exit code 127, as a shell on the far side would say."""
        out, err = Gather(on_line), Gather(on_line)
        given = () if stdin is None else (stdin,)
        code = self.pipe(argv, deadline, stdin=given, out=out.feed, err=err.feed, max_output=max_output)
        out.end()
        err.end()
        return Result(argv=tuple(argv), code=code, stdout=bytes(out.data), stderr=bytes(err.data))

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
        try:
            return proc.pipe(argv, stdin, out, err, deadline=self._cancellable(deadline), max_output=max_output)
        except PreconditionError:
            err(f"{argv[0]}: not found\n".encode())
            return 127
        except PermissionError:
            err(f"{argv[0]}: permission denied\n".encode())
            return 126
        except LabError as error:
            if type(error) is not LabError:  # raised by a sink, or meant as it is
                raise
            raise TransientError(error.message, fix=error.fix, detail=error.detail) from error

    def put(self, source: Path, target: str, deadline: Deadline, *, mode: int = 0o644) -> None:
        def copy(temp: Path) -> None:
            with source.open("rb") as file, temp.open("wb") as out:
                while chunk := file.read(CHUNK_BYTES):
                    _in_time(deadline, f"copying {source.name}")
                    out.write(chunk)

        _replace(Path(target), copy, mode)

    def put_bytes(self, data: bytes, target: str, deadline: Deadline, *, mode: int = 0o644) -> None:
        _in_time(deadline, f"writing {target}")
        _replace(Path(target), lambda temp: temp.write_bytes(data), mode)

    def get(
        self,
        source: str,
        target: Path,
        deadline: Deadline,
        *,
        max_bytes: int,
        offset: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        if not Path(source).exists():
            raise FetchError(f"no such file: {source}", fix="run the command again")
        with target.open("ab") as out:
            append(out, self.stream(source, offset, deadline, max_bytes=max_bytes + 1), source, max_bytes, progress)

    def stream(self, path: str, offset: int, deadline: Deadline, *, max_bytes: int) -> Iterator[bytes]:
        """Yield what is there; a file that does not exist yet is empty."""
        try:
            file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  # closed below, on every way out
        except FileNotFoundError:
            return
        except OSError as error:
            raise FetchError(f"cannot read {path}: {error.strerror}", fix="look at that file") from error
        with file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FetchError(f"{path} is no regular file", fix="look at that file")
            file.seek(offset)
            while max_bytes > 0 and (chunk := file.read(min(CHUNK_BYTES, max_bytes))):
                _in_time(deadline, f"reading {path}")
                max_bytes -= len(chunk)
                yield chunk

    @contextmanager
    def forward(self, remote_port: int) -> Iterator[int]:
        """The port itself: here is there."""
        yield remote_port

    def close(self) -> None:
        """Nothing is open between calls."""

    def _cancellable(self, deadline: Deadline) -> Deadline:
        return deadline if deadline.cancel is not None else Deadline(deadline.at_s, self._lab.cancel)


def _replace(target: Path, write: Callable[[Path], object], mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temp = target.with_name(f"{target.name}.part.{secrets.token_hex(4)}")
    try:
        write(temp)
        temp.chmod(mode & 0o700)  # the whole machine is this user's there; here others live too
        if target.is_dir():
            shutil.rmtree(temp, ignore_errors=True)
            raise IsADirectoryError(target)
        temp.replace(target)
    finally:
        temp.unlink(missing_ok=True)


def _without_waiting(path: str, flags: int) -> int:
    """A named pipe is opened at once, and refused then, instead of waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _in_time(deadline: Deadline, what: str) -> None:
    if deadline.cancel is not None and deadline.cancel.is_set():
        raise Cancelled
    if deadline.passed():
        raise TransientError(f"{what}: not done in time", fix="run the command again")
