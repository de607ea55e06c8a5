"""The Transport over SSH; the only importer of paramiko.

Trust: the endpoint's pinned host key and nothing else (no system known_hosts, no first-use trust); our identity and
nothing else (no agent, no search for keys). A different key stops everything before a single byte of ours is sent.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, NoReturn, Self

import paramiko

from lab.model.errors import Cancelled, FetchError, LabError, ProvisioningError, TransientError
from lab.model.lab import Lab
from lab.model.machine import SshEndpoint
from lab.remote.forward import loopback
from lab.remote.hostkeys import known_hosts_name, refuse
from lab.remote.scripts import CHECKSUM_DIFFERS, NO_SUCH_FILE, get_argv, put_argv
from lab.remote.streams import CHUNK_BYTES, Broken, Pumps, close, receive
from lab.system.proc import Result
from lab.system.wait import Deadline

KEEPALIVE_S: Final = 10
OPEN_CHANNEL_S: Final = 60.0
END_GROUP_S: Final = 10.0
POLL_S: Final = 0.2
LOG: Final = "lab.ssh"
AGAIN: Final = "run the same command again"
MSG_CHANNEL_REQUEST: Final = 98  # RFC 4254, section 9
SIGNAL_ATTRIBUTE: Final = "lab_exit_signal"


def connect(lab: Lab, endpoint: SshEndpoint, deadline: Deadline) -> SshTransport:
    """Open one connection. Raises ProvisioningError (unreachable, refused) or SecurityStop (host key)."""
    logging.getLogger(LOG).addHandler(logging.NullHandler())  # the library's own log never reaches the screen
    logging.getLogger(LOG).propagate = False
    client = paramiko.SSHClient()
    client.set_log_channel(LOG)
    client.set_missing_host_key_policy(_Refuse(endpoint))
    client.get_host_keys().add(known_hosts_name(endpoint.host, endpoint.port), *_pinned(endpoint.host_key))
    where = f"{endpoint.host}:{endpoint.port}"
    try:
        client.connect(
            endpoint.host,
            endpoint.port,
            endpoint.user,
            pkey=paramiko.Ed25519Key.from_private_key_file(str(endpoint.identity_file)),
            timeout=deadline.left_s(),
            banner_timeout=deadline.left_s(),
            auth_timeout=deadline.left_s(),
            channel_timeout=OPEN_CHANNEL_S,
            allow_agent=False,
            look_for_keys=False,
            transport_factory=_SignalAware,  # type: ignore[arg-type]  # its stub names keywords that are never passed
        )
    except paramiko.BadHostKeyException as error:
        client.close()
        refuse(where, error.key.fingerprint, endpoint.host_key, error)
    except paramiko.AuthenticationException as error:
        client.close()
        raise ProvisioningError(f"{where} refused this machine's SSH key", fix="lab down, then lab up") from error
    except (OSError, EOFError, paramiko.SSHException) as error:
        client.close()
        raise ProvisioningError(
            f"no SSH connection to {where}: {str(error) or type(error).__name__}", fix="lab logs"
        ) from error
    except BaseException:
        client.close()
        raise
    transport = client.get_transport()
    assert transport is not None
    transport.set_keepalive(KEEPALIVE_S)
    return SshTransport(lab, client, where)


class SshTransport:
    """Satisfies `Transport` over one connection that is kept; calls may run at the same time, each in its channel."""

    def __init__(self, lab: Lab, client: paramiko.SSHClient, where: str) -> None:
        self._lab = lab
        self._client = client
        self._where = where

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
    ) -> Result:
        """Run to the end. At the deadline, on cancel and on an error in `on_line` the remote process group is ended."""
        return self._run(argv, deadline, stdin=iter((stdin or b"",)), on_line=on_line)

    def put(self, source: Path, target: str, deadline: Deadline, *, mode: int = 0o644) -> None:
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            self._put(iter(lambda: file.read(CHUNK_BYTES), b""), digest, target, deadline, mode)

    def put_bytes(self, data: bytes, target: str, deadline: Deadline, *, mode: int = 0o644) -> None:
        self._put(iter((data,)), hashlib.sha256(data).hexdigest(), target, deadline, mode)

    def get(
        self,
        source: str,
        target: Path,
        deadline: Deadline,
        *,
        offset: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Append to `target`; what arrived before a lost connection stays there, so that the next call resumes."""
        copied = 0
        with target.open("ab") as file:
            try:
                for chunk in self._read(source, offset, deadline, must_exist=True):
                    file.write(chunk)
                    copied += len(chunk)
                    if progress is not None:
                        progress(copied)
            finally:
                file.flush()
                os.fsync(file.fileno())

    def stream(self, path: str, offset: int, deadline: Deadline) -> Iterator[bytes]:
        """Yield what is there; a file that does not exist yet is empty."""
        return self._read(path, offset, deadline, must_exist=False)

    def forward(self, remote_port: int) -> AbstractContextManager[int]:
        def open_pipe() -> paramiko.Channel:
            there, here = ("127.0.0.1", remote_port), ("127.0.0.1", 0)
            return self._transport().open_channel("direct-tcpip", there, here, timeout=OPEN_CHANNEL_S)

        return loopback(open_pipe)

    def close(self) -> None:
        self._client.close()

    def _put(self, chunks: Iterator[bytes], digest: str, target: str, deadline: Deadline, mode: int) -> None:
        result = self._run(put_argv(target, digest, mode), deadline, stdin=chunks, on_line=None)
        if result.code == CHECKSUM_DIFFERS:
            raise TransientError(f"{target} did not arrive whole", fix=AGAIN)
        if not result.ok:
            raise ProvisioningError(f"cannot write {target} in the machine", fix="lab ssh", detail=result.tail())

    def _read(self, path: str, offset: int, deadline: Deadline, *, must_exist: bool) -> Iterator[bytes]:
        channel = self._start(shlex.join(get_argv(path, offset)), deadline)
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
                yield chunk
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
        *,
        stdin: Iterator[bytes],
        on_line: Callable[[str], None] | None,
    ) -> Result:
        # the shell tells its pid, then becomes the program: the leader of a process group that can be ended by name
        channel = self._start(f"echo lab-pid:$$ >&2; exec {shlex.join(argv)}", deadline)
        pumps = Pumps(channel, stdin, on_line)
        try:
            while not pumps.ended(POLL_S):
                self._in_time(deadline, argv[0])
            code = self._code(channel, deadline, argv[0])
        except Broken as error:
            raise self._lost(str(error)) from error
        except BaseException:
            self._end_group(pumps.pid.value)
            raise
        finally:
            close(channel)
        return Result(argv=tuple(argv), code=code, stdout=bytes(pumps.out.data), stderr=bytes(pumps.err.data))

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
            return channel.exit_status
        name = getattr(channel, SIGNAL_ATTRIBUTE, None)
        if name is None:
            raise self._lost("it ended without an exit code")
        return -int(getattr(signal, f"SIG{name}", 1))

    def _end_group(self, pid: int | None) -> None:
        """End what a given-up call left running; with the connection gone there is nobody to ask."""
        if pid is None or not self._transport().is_active():
            return
        with contextlib.suppress(LabError):
            bound = Deadline.after(END_GROUP_S)
            self._code(self._start(f"kill -TERM -- -{pid}", bound), bound, "kill")

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


class _Refuse(paramiko.MissingHostKeyPolicy):
    """Another kind of key than the pinned one is as wrong as another key."""

    def __init__(self, endpoint: SshEndpoint) -> None:
        self._endpoint = endpoint

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> NoReturn:  # noqa: ARG002
        refuse(hostname, key.fingerprint, self._endpoint.host_key)


def _channel_request(channel: Any, message: paramiko.Message) -> None:
    begin = message.packet.tell()
    if message.get_text() == "exit-signal":
        message.get_boolean()
        setattr(channel, SIGNAL_ATTRIBUTE, message.get_text())
        channel.status_event.set()
        return
    message.packet.seek(begin)
    channel._handle_request(message)  # noqa: SLF001


class _SignalAware(paramiko.Transport):
    """paramiko drops `exit-signal`; here it is kept, so that a killed program is told from a lost connection."""

    _channel_handler_table: ClassVar[dict[int, Any]] = {
        **getattr(paramiko.Transport, "_channel_handler_table"),  # noqa: B009  # the only place to see a request
        MSG_CHANNEL_REQUEST: _channel_request,
    }


def _pinned(host_key: str) -> tuple[str, paramiko.PKey]:
    kind, data = host_key.split()[:2]
    return kind, paramiko.PKey.from_type_string(kind, base64.b64decode(data))
