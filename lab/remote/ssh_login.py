"""Opens an SSH connection: host key check and login.

fabric opens it, without its own settings. Only the endpoint's pinned host key is trusted (no system known_hosts, no
trust on first use). Only the endpoint's identity file is used, or, for an endpoint without one, the user's agent and
default keys. Another host key aborts the connection before anything is sent.
"""

from __future__ import annotations

import base64
import logging
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import fabric
import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.pkey import UnknownKeyType

from lab.model.errors import ConfigError, ProvisioningError
from lab.model.machine import SshEndpoint
from lab.remote import unreachable
from lab.remote.hostkeys import known_hosts_name, refuse
from lab.system.wait import Deadline

KEEPALIVE_S: Final = 10
OPEN_CHANNEL_S: Final = 60.0
LOG: Final = "lab.ssh"
MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA, MSG_CHANNEL_REQUEST = 94, 95, 98  # RFC 4254, section 9
MAX_GREETING_BYTES: Final = 64 << 10
MAX_PACKET_BYTES: Final = 1 << 20  # OpenSSH's own limit is 256 KiB
MAX_HELD_BYTES: Final = 8 << 20  # the window is 2 MiB
SIGNAL_ATTRIBUTE: Final = "lab_exit_signal"
# Settings that fabric needs. Its own defaults look up the user's name, which a container may not have.
SETTINGS: Final = {
    "authentication": {"strategy_class": None},
    "connect_kwargs": {},
    "forward_agent": False,
    "gateway": None,
    "inline_ssh_env": True,
    "timeouts": {"connect": None},
}


class LoginRefused(ProvisioningError):
    """The server has the pinned host key and accepts none of our keys."""


class KeyUnusable(LoginRefused):
    """The given private key is unusable; no login was tried."""


def log_in(endpoint: SshEndpoint, sock: socket.socket, deadline: Deadline) -> fabric.Connection:
    """Authenticate over a connected socket. Raises ProvisioningError, LoginRefused, SecurityStop (host key)."""
    _silence()
    own = endpoint.identity_file
    connection = fabric.Connection(
        endpoint.host,
        endpoint.user,
        endpoint.port,
        config=fabric.Config(ssh_config=_NoConfig(), defaults=SETTINGS, lazy=True),
        connect_kwargs={
            "sock": sock,
            "timeout": deadline.left_s(),
            "banner_timeout": deadline.left_s(),
            "auth_timeout": deadline.left_s(),
            "channel_timeout": OPEN_CHANNEL_S,
            "allow_agent": own is None,
            "look_for_keys": own is None,
            "transport_factory": _Careful,
        },
    )
    client = connection.client
    client.set_log_channel(LOG)
    client.set_missing_host_key_policy(paramiko.RejectPolicy())  # fabric's default accepts any host key
    client.get_host_keys().add(known_hosts_name(endpoint.host, endpoint.port), *_pinned(endpoint.host_key))
    try:
        connection.connect_kwargs["pkey"] = None if own is None else load_identity(own)
        connection.open()
    except BaseException as error:
        client.close()
        sock.close()
        _explain(endpoint, error)
        raise
    connection.transport.set_keepalive(KEEPALIVE_S)
    return connection


def _explain(endpoint: SshEndpoint, error: BaseException) -> None:
    """Raise our error for a failed login in place of the library's."""
    where = f"{endpoint.host}:{endpoint.port}"
    if isinstance(error, paramiko.BadHostKeyException):
        refuse(where, error.key.fingerprint, endpoint.host_key, error)
    if isinstance(error, paramiko.AuthenticationException | paramiko.PasswordRequiredException):
        keys = "your keys" if endpoint.identity_file is None else endpoint.identity_file.name
        message = f"{where} refused the login of {endpoint.user} with {keys}"
        raise LoginRefused(message, fix="lab down, then lab up") from error
    if "No authentication methods available" in str(error):  # an agent without keys, and no default key
        raise LoginRefused(f"there is no SSH key for the login at {where}", fix="set --identity FILE") from error
    if isinstance(error, OSError | EOFError | paramiko.SSHException):
        raise unreachable(endpoint, error) from error


def load_identity(path: Path) -> paramiko.PKey:
    """A private key without a passphrase. Raises KeyUnusable with the reason."""
    try:
        return paramiko.PKey.from_path(path)
    except FileNotFoundError as error:
        raise KeyUnusable(f"{path} does not exist", fix="set --identity to a private key file") from error
    except (TypeError, paramiko.PasswordRequiredException) as error:  # how the crypto library reports an encrypted key
        fix = f"run ssh-add {path}, and remove --identity"
        raise KeyUnusable(f"{path} has a passphrase", fix=fix) from error
    except (OSError, ValueError, UnsupportedAlgorithm, paramiko.SSHException, UnknownKeyType) as error:
        raise KeyUnusable(f"{path} is not a usable private key: {error}", fix="use another key") from error


def shown_key(host: str, port: int, kinds: Sequence[str], deadline: Deadline) -> str:
    """The server's host key, preferring `kinds`; no login is sent. Raises ProvisioningError."""
    _silence()
    try:
        with socket.create_connection((host, port), timeout=deadline.left_s()) as sock:
            transport = _Careful(sock)
            transport.set_log_channel(LOG)
            transport.banner_timeout = deadline.left_s()
            try:
                options = transport.get_security_options()
                first = [name for name in options.key_types if _kind(name) in kinds]
                options.key_types = [*first, *(name for name in options.key_types if name not in first)]
                transport.start_client(timeout=deadline.left_s())
                key = transport.get_remote_server_key()
                return f"{key.get_name()} {key.get_base64()}"
            finally:
                transport.close()
    except (OSError, EOFError, UnicodeError, paramiko.SSHException) as error:  # UnicodeError: no name that DNS knows
        message = f"no SSH server answers at {host}:{port}: {str(error) or type(error).__name__}"
        raise ProvisioningError(message, fix="check the address, and that the machine is running") from error


def lookup(config: Path, host: str) -> dict[str, list[str]]:
    """The options of `host` in the user's and the system's OpenSSH configs, for systems without OpenSSH.

    Option in lower case -> its values. Raises ConfigError.
    """
    files = fabric.Config(user_ssh_path=str(config), lazy=True)
    try:
        files.load_ssh_config()
        found: dict[str, Any] = dict(files.base_ssh_config.lookup(host))
    except (OSError, ValueError, paramiko.SSHException) as error:
        raise ConfigError(f"cannot read the OpenSSH configuration for {host}: {error}", fix=f"edit {config}") from error
    values = {name: value if isinstance(value, list) else [value] for name, value in found.items()}
    return {name: [str(item) for item in value] for name, value in values.items()}


def _kind(algorithm: str) -> str:
    """The host key type of a signature algorithm: all RSA algorithms are of one type."""
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm


def _silence() -> None:
    """Keep the library's log off the terminal."""
    logging.getLogger(LOG).addHandler(logging.NullHandler())
    logging.getLogger(LOG).propagate = False


class _NoConfig(paramiko.SSHConfig):
    """No option for any host: host and login are already known."""

    def lookup(self, hostname: str) -> paramiko.SSHConfigDict:  # noqa: ARG002
        return paramiko.SSHConfigDict()


def _channel_request(channel: Any, message: paramiko.Message) -> None:
    begin = message.packet.tell()
    if message.get_text() == "exit-signal":
        message.get_boolean()
        setattr(channel, SIGNAL_ATTRIBUTE, message.get_text())
        channel.status_event.set()
        return
    message.packet.seek(begin)
    channel._handle_request(message)  # noqa: SLF001


class _Bounded:
    """A socket that limits the greeting and the packet size to what current servers send.

    paramiko reads a greeting up to its newline, and a packet of any announced size up to 4 GiB, into memory.
    """

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.greeting: int | None = 0  # bytes so far; None after its end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, nbytes: int) -> bytes:
        if nbytes > MAX_PACKET_BYTES:
            raise paramiko.SSHException(f"the server sent a packet of {nbytes} bytes")
        data: bytes = self._sock.recv(nbytes)
        if self.greeting is not None:
            self.greeting += len(data)
            if self.greeting > MAX_GREETING_BYTES:
                raise paramiko.SSHException("the server's greeting has no end")
        return data


def _data(channel: Any, message: paramiko.Message) -> None:
    channel._feed(message)  # noqa: SLF001
    _held(channel)


def _extended_data(channel: Any, message: paramiko.Message) -> None:
    channel._feed_extended(message)  # noqa: SLF001
    _held(channel)


def _held(channel: Any) -> None:
    """Close the connection of a server that exceeds the window; paramiko would buffer it all."""
    if len(channel.in_buffer) + len(channel.in_stderr_buffer) > MAX_HELD_BYTES:
        channel.transport.close()


class _Careful(paramiko.Transport):
    """paramiko with limits, and with `exit-signal`, which it drops: tells a killed program from a lost connection."""

    _channel_handler_table: ClassVar[dict[int, Any]] = {
        **getattr(paramiko.Transport, "_channel_handler_table"),  # noqa: B009  # the only hook for requests
        MSG_CHANNEL_REQUEST: _channel_request,
        MSG_CHANNEL_DATA: _data,
        MSG_CHANNEL_EXTENDED_DATA: _extended_data,
    }

    def __init__(self, sock: Any, **options: Any) -> None:
        self._bounded = _Bounded(sock)
        super().__init__(self._bounded, **options)  # type: ignore[arg-type]  # has all methods that it uses
        # AES-GCM is faster in an emulated machine than a cipher and a MAC, which paramiko prefers
        security = self.get_security_options()
        security.ciphers = sorted(security.ciphers, key=lambda name: "-gcm@" not in name)

    def _check_banner(self) -> None:
        super()._check_banner()  # type: ignore[misc]  # the only hook for the greeting's end
        self._bounded.greeting = None


def _pinned(host_key: str) -> tuple[str, paramiko.PKey]:
    kind, data = host_key.split()[:2]
    return kind, paramiko.PKey.from_type_string(kind, base64.b64decode(data))
