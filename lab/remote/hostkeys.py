"""Host keys as text: how they are named in known_hosts, their fingerprints, and the stop when one is not the pinned."""

from __future__ import annotations

import base64
import hashlib
from typing import NoReturn

from lab.model.errors import SecurityStop


def known_hosts_name(host: str, port: int) -> str:
    """How OpenSSH writes an address in known_hosts."""
    return host if port == 22 else f"[{host}]:{port}"


def known_hosts_line(host: str, port: int, host_key: str) -> str:
    kind, data = host_key.split()[:2]
    return f"{known_hosts_name(host, port)} {kind} {data}\n"


def fingerprint(host_key: str) -> str:
    """The SHA-256 fingerprint of a public key ("ssh-ed25519 AAAA…"), as `ssh-keygen -l` shows it."""
    digest = hashlib.sha256(base64.b64decode(host_key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def refuse(where: str, seen: str, host_key: str, cause: Exception | None = None) -> NoReturn:
    """`seen` is the fingerprint that was shown, `host_key` the pinned key. Raises SecurityStop."""
    raise SecurityStop(
        f"{where} shows another host key than the one made for this machine:"
        f" wanted {fingerprint(host_key)}, got {seen}; nothing was sent",
        fix="if you replaced that machine yourself: lab down, then lab up",
    ) from cause
