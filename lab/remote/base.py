"""The Transport seam: how anything above talks to a machine. argv lists end to end, quoted in the transport."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from lab.system.proc import Result
from lab.system.wait import Deadline


class Transport(Protocol):
    """A live connection. Use it as a context manager (`connect(lab, endpoint)`); every call takes a Deadline.

    Errors: ProvisioningError (unreachable), SecurityStop (host key), TransientError (connection lost in a call).
    """

    def run(
        self,
        argv: Sequence[str],
        deadline: Deadline,
        *,
        stdin: bytes | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        """Run to the end; a non-zero code is a Result, not an error."""
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
        offset: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Append `source` from `offset` on to `target` (resume); `progress` gets bytes copied so far."""
        ...

    def stream(self, path: str, offset: int, deadline: Deadline) -> Iterator[bytes]:
        """Yield what is in `path` from `offset` on, once, up to its present end."""
        ...

    def forward(self, remote_port: int) -> AbstractContextManager[int]:
        """A loopback port here that reaches 127.0.0.1:`remote_port` there."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
