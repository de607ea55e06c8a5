"""The identity of a machine, before it exists: its host key, its login key, and the files that plain ssh needs."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePath
from typing import Final

from lab.model.machine import Seed, SshEndpoint
from lab.model.paths import HOST_KEY_FILE, IDENTITY_FILE, KNOWN_HOSTS_FILE, SSH_CONFIG_FILE
from lab.system import store
from lab.system.documents import Source, content

HOST_COMMENT: Final = "lab-host"
MOST_BYTES: Final = 1 << 16


def seed(directory: Path) -> Seed:
    """The machine's seed: created by the first call, the same afterwards. Private keys are 0600, OpenSSH format.

    The machine id is derived from the host key, so that the two cannot differ. Raises Unreadable for a file that is not
    a private key.
    """
    host, user = directory / HOST_KEY_FILE, directory / IDENTITY_FILE
    host_public, user_public = _made(host, HOST_COMMENT), _made(user, "lab-user")
    return Seed(
        machine_id=machine_id(host_public),
        host_key_private=host,
        host_key_public=host_public,
        user_key_private=user,
        user_key_public=user_public,
    )


def write_access(directory: Path, name: str, endpoint: SshEndpoint) -> None:
    """known_hosts and ssh.config, so that `ssh -F ssh.config NAME` works and any other host key is refused."""
    from lab.remote.hostkeys import known_hosts_line

    known_hosts = directory / KNOWN_HOSTS_FILE
    store.write_text(known_hosts, known_hosts_line(endpoint.host, endpoint.port, endpoint.host_key))
    store.write_text(directory / SSH_CONFIG_FILE, ssh_config(name, endpoint, known_hosts))


def ssh_config(name: str, endpoint: SshEndpoint, known_hosts: PurePath) -> str:
    """Text for OpenSSH: only our key, only the pinned host key, no agent, no settings of the user or the system.

    An endpoint without an identity file uses the user's agent and default keys; nothing else differs.
    """
    own = endpoint.identity_file
    login = {} if own is None else {"IdentityFile": config_value(own), "IdentitiesOnly": "yes", "IdentityAgent": "none"}
    lines = {
        "HostName": endpoint.host,
        "Port": str(endpoint.port),
        "User": endpoint.user,
        **login,
        "ForwardAgent": "no",
        "UserKnownHostsFile": config_value(known_hosts),
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "PasswordAuthentication": "no",
        "ServerAliveInterval": "10",
        "LogLevel": "ERROR",
    }
    return f"Host {name}\n" + "".join(f"  {key} {text}\n" for key, text in lines.items())


def config_value(path: PurePath) -> str:
    """A path as OpenSSH's configuration takes it, in a file or after -o."""
    # ssh_config(5): quotes hold spaces, and % begins a token; a backslash may escape, so Windows gets its other slash
    return '"' + path.as_posix().replace("%", "%%") + '"'


def machine_id(host_key: str) -> str:
    """Of a public host key as OpenSSH writes it."""
    return hashlib.sha256(host_key.split()[1].encode()).hexdigest()[:32]


def public(private: Path, comment: str) -> str:
    """The public half of the key in a file. Raises Unreadable."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    source = Source(path=private, name=str(private), fix=f"lab down {private.parent.name}")
    data = content(source, MOST_BYTES)
    try:
        key = serialization.load_ssh_private_key(data, password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise source.error("not an OpenSSH private key without a passphrase") from error
    text = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{text.decode()} {comment}"


def _made(private: Path, comment: str) -> str:
    """The public half of the key in `private`, which is generated when it is missing."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not private.exists():
        text = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        store.write_bytes(private, text, mode=0o600)
    return public(private, comment)
