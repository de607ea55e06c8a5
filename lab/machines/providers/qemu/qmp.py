"""QMP, QEMU's control protocol: a small synchronous client over a Unix socket.

Protocol: https://www.qemu.org/docs/master/interop/qmp-spec.html. Written here rather than taken from the asynchronous
`qemu.qmp`, since a repeated `up` may spend milliseconds on it and every call must be bounded by one deadline.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lab.guest.wire import WireError, load
from lab.model.errors import LabError, ProvisioningError
from lab.system import unix_socket
from lab.system.wait import Deadline

CHUNK_BYTES: Final = 65536
MAX_ANSWER_BYTES: Final = 4 << 20
SHOWN: Final = 500
_FORWARD: Final = re.compile(r"TCP\[HOST_FORWARD\]\s+\S+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+22\b")


class QmpRefused(LabError):
    """QEMU answered a command with an error."""

    exit_code = ProvisioningError.exit_code


class Qmp:
    """One connection, ready for commands. Events are skipped."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._buffer = b""

    def execute(self, command: str, **arguments: Any) -> Any:
        """QEMU's answer. Raises QmpRefused, and ProvisioningError when it does not answer in time."""
        request = {"execute": command, "arguments": arguments} if arguments else {"execute": command}
        self._bound()
        try:
            self._sock.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise _silent(command) from error
        while True:
            answer = self.read(command)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                refusal = answer["error"]
                reason = str(refusal.get("desc", "")) if isinstance(refusal, dict) else ""
                raise QmpRefused(f"QEMU refused {command}: {reason[:SHOWN]}", fix="lab logs")

    def monitor(self, line: str) -> str:
        """A command of the human monitor, for information that QMP lacks."""
        return str(self.execute("human-monitor-command", **{"command-line": line}))

    def read(self, what: str) -> dict[str, Any]:
        """The next message of any kind."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_ANSWER_BYTES or self._deadline.passed():
                raise _silent(what)
            self._bound()
            try:
                chunk = self._sock.recv(CHUNK_BYTES)
            except OSError as error:
                raise _silent(what) from error
            if not chunk:
                raise _silent(what)
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            return load(dict[str, Any], line)
        except WireError as error:
            raise ProvisioningError(f"cannot read QEMU's answer to {what}: {error}", fix="lab logs") from error

    def _bound(self) -> None:
        self._sock.settimeout(max(0.05, self._deadline.left_s()))


@contextmanager
def connect(path: Path, deadline: Deadline) -> Iterator[Qmp]:
    """Connect to the QEMU behind `path`. Raises ProvisioningError when it does not answer in time."""
    try:
        sock = unix_socket.connected(path, max(0.05, deadline.left_s()))
    except OSError as error:
        raise _silent("the connection") from error
    with sock:
        session = Qmp(sock, deadline)
        session.read("the connection")
        session.execute("qmp_capabilities")
        yield session


def forwarded_port(usernet: str) -> int | None:
    """The loopback port that is forwarded to the machine's port 22, from the monitor's `info usernet`."""
    found = _FORWARD.search(usernet)
    return int(found[1]) if found else None


def _silent(what: str) -> ProvisioningError:
    return ProvisioningError(f"QEMU does not answer {what}", fix="lab logs")
