"""The Transport over SSH. This file and ssh_login.py (how a connection is opened) are the only users of paramiko."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import paramiko

from lab.model.errors import Cancelled, FetchError, LabError, ProvisioningError, TransientError
from lab.model.lab import Lab
from lab.model.machine import SshEndpoint
from lab.remote.forward import loopback
from lab.remote.scripts import CHECKSUM_DIFFERS, NO_SUCH_FILE, end_argv, get_argv, put_argv
from lab.remote.ssh_login import OPEN_CHANNEL_S, SIGNAL_ATTRIBUTE, log_in
from lab.remote.streams import CHUNK_BYTES, Broken, append, close, feed, receive
from lab.system import digests
from lab.system.lines import PidLine
from lab.system.proc import Result
from lab.system.pumps import MAX_OUTPUT, Budget, Gather, Pumps, Sink, nothing
from lab.system.wait import Deadline

ROOT: Final = ("sudo", "-n", "--")
END_GROUP_S: Final = 10.0
POLL_S: Final = 0.2
AGAIN: Final = "run the command again"
# RFC 4254's names with Linux's numbers: Windows knows few of them
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


def connect(lab: Lab, endpoint: SshEndpoint, deadline: Deadline) -> SshTransport:
    """Open one connection. Raises ProvisioningError (unreachable), LoginRefused, SecurityStop (host key)."""
    client = log_in(endpoint, deadline)
    return SshTransport(lab, client, f"{endpoint.host}:{endpoint.port}", root=ROOT if endpoint.become else ())


class SshTransport:
    """Satisfies `Transport` over one connection that is kept; calls may run at the same time, each in its channel."""

    def __init__(self, lab: Lab, client: paramiko.SSHClient, where: str, *, root: tuple[str, ...] = ()) -> None:
        self._lab = lab
        self._client = client
        self._where = where
        self._root = root  # what stands before every command

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
        """Run to the end. At the deadline, on cancel and on an error in `on_line` the remote process group is ended."""
        return self._run(argv, deadline, (stdin or b"",), on_line, max_output)

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
        # the shell tells its pid, then becomes the program: the leader of a process group that can be ended by name
        channel = self._start(f"echo lab-pid:$$ >&2; exec {self._line(argv)}", deadline)
        budget = Budget(f"{argv[0]} in {self._where}", max_output)
        pid = PidLine(budget.of(err))
        streams = [
            (functools.partial(receive, channel.recv), budget.of(out), nothing),
            (functools.partial(receive, channel.recv_stderr), pid.feed, nothing),
        ]
        pumps = Pumps(streams, lambda: feed(channel, stdin), lambda: close(channel))
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
            close(channel)

    def put(self, source: Path, target: str, deadline: Deadline, *, mode: int = 0o644) -> None:
        digest = digests.of_file(source)
        with source.open("rb") as file:
            self._put(iter(lambda: file.read(CHUNK_BYTES), b""), digest, target, deadline, mode)

    def put_bytes(self, data: bytes, target: str, deadline: Deadline, *, mode: int = 0o644) -> None:
        self._put(iter((data,)), hashlib.sha256(data).hexdigest(), target, deadline, mode)

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
        """Append to `target`; what arrived before a lost connection stays there, so that the next call resumes."""
        with target.open("ab") as file:
            chunks = self._read(source, offset, deadline, must_exist=True, max_bytes=max_bytes + 1)
            append(file, chunks, source, max_bytes, progress)

    def stream(self, path: str, offset: int, deadline: Deadline, *, max_bytes: int) -> Iterator[bytes]:
        """Yield what is there; a file that does not exist yet is empty."""
        return self._read(path, offset, deadline, must_exist=False, max_bytes=max_bytes)

    def forward(self, remote_port: int) -> AbstractContextManager[int]:
        def open_pipe() -> paramiko.Channel:
            there, here = ("127.0.0.1", remote_port), ("127.0.0.1", 0)
            return self._transport().open_channel("direct-tcpip", there, here, timeout=OPEN_CHANNEL_S)

        return loopback(open_pipe)

    def close(self) -> None:
        self._client.close()

    def _put(self, chunks: Iterable[bytes], digest: str, target: str, deadline: Deadline, mode: int) -> None:
        result = self._run(put_argv(target, digest, mode), deadline, chunks)
        if result.code == CHECKSUM_DIFFERS:
            raise TransientError(f"{target} did not arrive whole", fix=AGAIN)
        if not result.ok:
            raise ProvisioningError(f"cannot write {target} in the machine", fix="lab ssh", detail=result.tail())

    def _read(self, path: str, offset: int, deadline: Deadline, *, must_exist: bool, max_bytes: int) -> Iterator[bytes]:
        channel = self._start(self._line(get_argv(path, offset)), deadline)
        with contextlib.ExitStack() as stack:
            stack.callback(close, channel)
            channel.settimeout(POLL_S)
            while True:
                self._in_time(deadline, f"reading {path}")
                try:
                    chunk = receive(channel.recv)
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
            said = channel.recv_stderr(CHUNK_BYTES) if channel.recv_stderr_ready() else b""
        if code == NO_SUCH_FILE:
            raise FetchError(f"no such file in the machine: {path}", fix=AGAIN)
        raise FetchError(f"cannot read {path} in the machine", fix="lab ssh", detail=said.decode("utf-8", "replace"))

    def _run(
        self,
        argv: Sequence[str],
        deadline: Deadline,
        stdin: Iterable[bytes],
        on_line: Callable[[str], None] | None = None,
        max_output: int = MAX_OUTPUT,
    ) -> Result:
        out, err = Gather(on_line), Gather(on_line)
        code = self.pipe(argv, deadline, stdin=stdin, out=out.feed, err=err.feed, max_output=max_output)
        out.end()
        err.end()
        return Result(argv=tuple(argv), code=code, stdout=bytes(out.data), stderr=bytes(err.data))

    def _start(self, command: str, deadline: Deadline) -> paramiko.Channel:
        try:
            channel = self._transport().open_session(timeout=min(OPEN_CHANNEL_S, deadline.left_s()))
            channel.exec_command(command.encode("utf-8", "surrogateescape"))
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._lost(str(error) or type(error).__name__) from error
        return channel

    def _code(self, channel: paramiko.Channel, deadline: Deadline, what: str) -> int:
        """The exit code, once both streams have ended; minus the signal's number when one killed it."""
        while not channel.status_event.wait(POLL_S):
            self._in_time(deadline, what)
        if channel.exit_status >= 0:
            return channel.exit_status & 0xFF
        name = getattr(channel, SIGNAL_ATTRIBUTE, None)
        if name is None:
            raise self._lost("it ended without an exit code")
        return -SIGNALS.get(name, SIGNALS["HUP"])

    def _end_group(self, pid: int | None) -> None:
        """End what a given-up call left running; with the connection gone there is nobody to ask."""
        if pid is None or not self._transport().is_active():
            return
        with contextlib.suppress(LabError):
            bound = Deadline.after(END_GROUP_S)
            self._code(self._start(self._line(end_argv(pid)), bound), bound, "kill")

    def _line(self, argv: Sequence[str]) -> str:
        return shlex.join((*self._root, *argv))

    def _transport(self) -> paramiko.Transport:
        transport = self._client.get_transport()
        if transport is None:
            raise self._lost("it was closed")
        return transport

    def _in_time(self, deadline: Deadline, what: str) -> None:
        if self._lab.cancel.is_set() or (deadline.cancel is not None and deadline.cancel.is_set()):
            raise Cancelled
        if deadline.passed():
            raise TransientError(f"{what} in {self._where}: not done in time", fix=AGAIN)

    def _lost(self, why: str) -> TransientError:
        return TransientError(f"the connection to {self._where} was lost: {why}", fix=AGAIN)
