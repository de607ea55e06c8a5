"""The Transport seam: how anything above talks to a machine. argv lists end to end, quoted in the transport."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from lab.system.proc import Result
from lab.system.pumps import MAX_OUTPUT, Sink
from lab.system.wait import Deadline


class Transport(Protocol):
    """A live connection. Use it as a context manager (`connect(lab, endpoint)`); every call takes a Deadline.

    Whatever comes from the machine has a bound that is checked while it comes: no call reads without one.

    Errors: ProvisioningError (unreachable), SecurityStop (host key), TransientError (connection lost in a call).
    """

    def run(
        self,
        argv: Sequence[str],
        deadline: Deadline,
        *,
        stdin: bytes | None = None,
        on_line: Callable[[str], None] | None = None,
        max_output: int = MAX_OUTPUT,
    ) -> Result:
        """Run to the end; a non-zero code is a Result, not an error. Raises TooMuchOutput beyond `max_output` bytes."""
        ...

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
        """`run` with its streams handed over as they come; returns the exit code (negative: killed by that signal).

        A sink that waits makes the program wait; what a sink raises ends the program. `max_output` None is for a
        person's own pipe alone.
        """
        ...

    def put(self, source: Path, target: str, deadline: Deadline, *, mode: int = 0o644) -> None:
        """Copy a file there, whole or not at all (temp + rename); parents are made."""
        ...

    def put_bytes(self, data: bytes, target: str, deadline: Deadline, *, mode: int = 0o644) -> None: ...

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
        """Append `source` from `offset` on to `target` (resume); `progress` gets bytes copied so far.

        Raises FetchError when more than `max_bytes` come.
        """
        ...

    def stream(self, path: str, offset: int, deadline: Deadline, *, max_bytes: int) -> Iterator[bytes]:
        """Yield at most `max_bytes` of what is in `path` from `offset` on, once, up to its present end."""
        ...

    def forward(self, remote_port: int) -> AbstractContextManager[int]:
        """A loopback port here that reaches 127.0.0.1:`remote_port` there."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
