"""The Transport interface to a machine. Commands are argv lists, quoted in the transport."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BufferedIOBase, BytesIO
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lab.model.errors import Cancelled, FetchError, TransientError
from lab.model.lab import Lab
from lab.system.proc import Result
from lab.system.pumps import MAX_OUTPUT, Gather, Sink
from lab.system.wait import Deadline

AGAIN: Final = "run the command again"


class Transport(ABC):
    """A live connection. Use it as a context manager (`connect(lab, endpoint)`); every call takes a Deadline.

    All data from the machine has a size limit that is checked while it arrives: no call reads without one. A
    transport implements `pipe`, `_read` and `_write`; the other calls use these.

    Errors: ProvisioningError (unreachable), SecurityStop (host key), TransientError (connection lost in a call).
    """

    _where = ""  # " in HOST:PORT" in messages

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027  # a transport may have nothing to end
        """End the connection, if there is one."""

    @abstractmethod
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
        """Run and pass the streams on as they arrive; returns the exit code (negative: killed by that signal).

        At the deadline, on cancel and when a sink raises, the program's process group is ended. A sink that blocks
        blocks the program. `max_output` None is only for a pipe of the user's.
        """

    def run(
        self,
        argv: Sequence[str],
        deadline: Deadline,
        *,
        stdin: bytes | Iterable[bytes] = b"",
        on_line: Callable[[str], None] | None = None,
        max_output: int = MAX_OUTPUT,
    ) -> Result:
        """Run to the end; a non-zero code is a Result, not an error. Raises TooMuchOutput beyond `max_output` bytes."""
        out, err = Gather(on_line), Gather(on_line)
        given = (stdin,) if isinstance(stdin, bytes) else stdin
        code = self.pipe(argv, deadline, stdin=given, out=out.feed, err=err.feed, max_output=max_output)
        out.end()
        err.end()
        return Result(argv=tuple(argv), code=code, stdout=bytes(out.data), stderr=bytes(err.data))

    def put(self, source: Path, target: str, deadline: Deadline, *, mode: int = 0o644) -> None:
        """Copy a file to the machine, whole or not at all (temp + rename); parent folders are created."""
        with source.open("rb") as file:
            self._write(file, target, deadline, mode)

    def put_bytes(self, data: bytes, target: str, deadline: Deadline, *, mode: int = 0o644) -> None:
        """`put` of bytes in memory."""
        self._write(BytesIO(data), target, deadline, mode)

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
        """Append `source` from `offset` on to `target`; `progress` gets bytes copied so far.

        However it ends, the received bytes are on disk, so that a next call resumes. Raises FetchError for more than
        `max_bytes`.
        """
        copied = 0
        with target.open("ab") as file:
            try:
                for chunk in self._read(source, offset, deadline, must_exist=True, max_bytes=max_bytes + 1):
                    copied += len(chunk)
                    if copied > max_bytes:
                        message = f"{source} is larger than the limit of {max_bytes} bytes"
                        raise FetchError(message, fix="lab ssh")
                    file.write(chunk)
                    if progress is not None:
                        progress(copied)
            finally:
                file.flush()
                os.fsync(file.fileno())

    def stream(self, path: str, offset: int, deadline: Deadline, *, max_bytes: int) -> Iterator[bytes]:
        """Yield at most `max_bytes` of `path` from `offset` on, once, up to its end; nothing if it is missing."""
        return self._read(path, offset, deadline, must_exist=False, max_bytes=max_bytes)

    @abstractmethod
    def _read(self, path: str, offset: int, deadline: Deadline, *, must_exist: bool, max_bytes: int) -> Iterator[bytes]:
        """Yield at most `max_bytes` of `path` from `offset` on, up to its current end."""

    @abstractmethod
    def _write(self, data: BufferedIOBase, target: str, deadline: Deadline, mode: int) -> None:
        """Write `data` to `target`, whole or not at all."""

    def _in_time(self, deadline: Deadline, what: str) -> None:
        """Raise Cancelled, or TransientError after the deadline."""
        if self._lab.cancel.is_set() or (deadline.cancel is not None and deadline.cancel.is_set()):
            raise Cancelled
        if deadline.passed():
            raise TransientError(f"{what}{self._where} timed out", fix=AGAIN)
