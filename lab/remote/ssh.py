"""The Transport over SSH. This file and ssh_login.py (how a connection is opened) are the only users of fabric."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import shlex
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BufferedIOBase
from typing import Final

import fabric
import paramiko

from lab.model.errors import FetchError, LabError, ProvisioningError, TransientError
from lab.model.lab import Lab
from lab.model.machine import SshEndpoint
from lab.remote.base import AGAIN, Transport
from lab.remote.scripts import CHECKSUM_DIFFERS, NO_SUCH_FILE, end_argv, get_argv, put_argv
from lab.remote.ssh_login import OPEN_CHANNEL_S, SIGNAL_ATTRIBUTE, log_in
from lab.system.lines import PidLine
from lab.system.pumps import Budget, Pumps, Sink, no_longer_read, nothing
from lab.system.wait import Deadline

CHUNK_BYTES: Final = 32768
ROOT: Final = ("sudo", "-n", "--")
END_GROUP_S: Final = 10.0
POLL_S: Final = 0.2
# RFC 4254's names with Linux's numbers: Windows has few of them
SIGNALS: Final = {
    "HUP": 1,
    "INT": 2,
    "QUIT": 3,
    "ILL": 4,
    "ABRT": 6,
    "FPE": 8,
    "KILL": 9,
    "USR1": 10,
    "SEGV": 11,
    "USR2": 12,
    "PIPE": 13,
    "ALRM": 14,
    "TERM": 15,
}


class Broken(Exception):  # internal: the transport turns it into an error for the user
    """The connection was lost during a read; bytes may be missing, whatever the exit code."""


class SshTransport(Transport):
    """One persistent connection; calls may run concurrently, each in its own channel."""

    def __init__(self, lab: Lab, endpoint: SshEndpoint, sock: socket.socket, deadline: Deadline) -> None:
        """Log in over a connected socket. Raises ProvisioningError, LoginRefused, SecurityStop (host key)."""
        super().__init__(lab)
        self._at = f"{endpoint.host}:{endpoint.port}"
        self._where = f" in {self._at}"
        self._root = ROOT if endpoint.become else ()  # prefix of every command
        self._connection: fabric.Connection = log_in(endpoint, sock, deadline)

    def close(self) -> None:
        self._connection.close()

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
        # the shell prints its pid, then execs the program: the leader of a process group that can be signalled
        channel = self._start(f"echo lab-pid:$$ >&2; exec {self._line(argv)}", deadline)
        budget = Budget(f"{argv[0]}{self._where}", max_output)
        pid = PidLine(budget.of(err))
        streams = [
            (functools.partial(_receive, channel.recv), budget.of(out), nothing),
            (functools.partial(_receive, channel.recv_stderr), pid.feed, nothing),
        ]
        pumps = Pumps(streams, lambda: _feed(channel, stdin), lambda: _close(channel))
        try:
            while not pumps.ended(POLL_S):
                self._in_time(deadline, argv[0])
            pid.end()
            return self._code(channel, deadline, argv[0])
        except Broken as error:
            raise self._lost(str(error)) from error
        except BaseException:
            self._end_group(pid.value)
            raise
        finally:
            _close(channel)

    def _write(self, data: BufferedIOBase, target: str, deadline: Deadline, mode: int) -> None:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
        data.seek(0)
        result = self.run(put_argv(target, digest, mode), deadline, stdin=iter(lambda: data.read(CHUNK_BYTES), b""))
        if result.code == CHECKSUM_DIFFERS:
            raise TransientError(f"the transfer of {target} was incomplete", fix=AGAIN)
        if not result.ok:
            raise ProvisioningError(f"cannot write {target} in the machine", fix="lab ssh", detail=result.tail())

    def _read(self, path: str, offset: int, deadline: Deadline, *, must_exist: bool, max_bytes: int) -> Iterator[bytes]:
        channel = self._start(self._line(get_argv(path, offset)), deadline)
        with contextlib.ExitStack() as stack:
            stack.callback(_close, channel)
            channel.settimeout(POLL_S)
            while True:
                self._in_time(deadline, f"reading {path}")
                try:
                    chunk = _receive(channel.recv)
                except TimeoutError:
                    continue
                except Broken as error:
                    raise self._lost(str(error)) from error
                if not chunk:
                    break
                yield chunk[:max_bytes]
                max_bytes -= len(chunk)
                if max_bytes <= 0:
                    return
            code = self._code(channel, deadline, f"reading {path}")
            if code == 0 or (code == NO_SUCH_FILE and not must_exist):
                return
            errors = channel.recv_stderr(CHUNK_BYTES) if channel.recv_stderr_ready() else b""
        if code == NO_SUCH_FILE:
            raise FetchError(f"{path} does not exist in the machine", fix=AGAIN)
        raise FetchError(f"cannot read {path} in the machine", fix="lab ssh", detail=errors.decode("utf-8", "replace"))

    def _start(self, command: str, deadline: Deadline) -> paramiko.Channel:
        try:
            channel: paramiko.Channel = self._connection.transport.open_session(
                timeout=min(OPEN_CHANNEL_S, deadline.left_s())
            )
            channel.exec_command(command.encode("utf-8", "surrogateescape"))
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._lost(str(error) or type(error).__name__) from error
        return channel

    def _code(self, channel: paramiko.Channel, deadline: Deadline, what: str) -> int:
        """The exit code, after both streams have ended; negative: killed by that signal."""
        while not channel.status_event.wait(POLL_S):
            self._in_time(deadline, what)
        if channel.exit_status >= 0:
            return channel.exit_status & 0xFF
        name = getattr(channel, SIGNAL_ATTRIBUTE, None)
        if name is None:
            raise self._lost("no exit code was received")
        return -SIGNALS.get(name, SIGNALS["HUP"])

    def _end_group(self, pid: int | None) -> None:
        """End the process group of an abandoned call; does nothing when the connection is lost."""
        if pid is None or not self._connection.is_connected:
            return
        with contextlib.suppress(LabError):
            bound = Deadline.after(END_GROUP_S)
            self._code(self._start(self._line(end_argv(pid)), bound), bound, "kill")

    def _line(self, argv: Sequence[str]) -> str:
        return shlex.join((*self._root, *argv))

    def _lost(self, why: str) -> TransientError:
        return TransientError(f"the connection to {self._at} was lost: {why}", fix=AGAIN)


def _receive(read: Callable[[int], bytes], nbytes: int = CHUNK_BYTES) -> bytes:
    """One chunk, empty at the end of the stream. Raises TimeoutError as `read` does, and Broken."""
    try:
        return read(nbytes)
    except TimeoutError:
        raise
    except Exception as error:  # the SSH library raises many types here, some of its own
        raise Broken(str(error) or type(error).__name__) from error


def _feed(channel: paramiko.Channel, chunks: Iterable[bytes]) -> None:
    """Write standard input and its end."""
    with no_longer_read():
        for chunk in chunks:
            channel.sendall(chunk)
        channel.shutdown_write()


def _close(channel: paramiko.Channel) -> None:
    """Close, also after the connection was lost (which makes the SSH library raise)."""
    with contextlib.suppress(Exception):
        channel.close()
