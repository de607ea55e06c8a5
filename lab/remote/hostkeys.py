"""Host keys as text: their names in known_hosts, their fingerprints, and the error when one is not the pinned key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import NoReturn

from lab.model.errors import SecurityStop


def known_hosts_name(host: str, port: int) -> str:
    """The address as OpenSSH writes it in known_hosts."""
    return host if port == 22 else f"[{host}]:{port}"


def known_hosts_line(host: str, port: int, host_key: str) -> str:
    kind, data = host_key.split()[:2]
    return f"{known_hosts_name(host, port)} {kind} {data}\n"


def fingerprint(host_key: str) -> str:
    """The SHA-256 fingerprint of a public key ("ssh-ed25519 AAAA…"), as `ssh-keygen -l` shows it."""
    digest = hashlib.sha256(base64.b64decode(host_key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def refuse(where: str, seen: str, host_key: str, cause: Exception | None = None) -> NoReturn:
    """`seen` is the server's fingerprint, `host_key` the pinned key. Raises SecurityStop."""
    raise SecurityStop(
        f"the host key of {where} differs from the key pinned for this machine:"
        f" expected {fingerprint(host_key)}, got {seen}; nothing was sent",
        fix="if you replaced the machine: lab down, then lab up",
    ) from cause


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKeys:
    """The keys of one name in known_hosts files: valid ones and revoked ones."""

    keys: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()


def known(text: str, name: str) -> HostKeys:
    """Keys for `name` (as `known_hosts_name` writes it) in the text of known_hosts files: sshd(8), plain and hashed."""
    keys: list[str] = []
    revoked: list[str] = []
    for line in text.splitlines():
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or marker not in {"", "@revoked"}:
            continue  # @cert-authority: host certificates are not supported
        if names(words[0], name):
            (revoked if marker else keys).append(f"{words[1]} {words[2]}")
    return HostKeys(keys=tuple(keys), revoked=tuple(revoked))


def names(field: str, name: str) -> bool:
    """Whether a line's first field matches `name`: by hash, or by patterns with * and ?, which ! negates."""
    if field.startswith("|1|"):
        try:
            _, _, salt, digest = field.split("|")
            made = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
            return hmac.compare_digest(made, base64.b64decode(digest))
        except ValueError:
            return False
    found = False
    for pattern in field.split(","):
        bare = pattern.removeprefix("!").lower()
        # fnmatch would read the brackets of "[host]:port" as a set of characters
        if re.fullmatch(re.escape(bare).replace(r"\*", ".*").replace(r"\?", "."), name.lower()):
            if pattern.startswith("!"):
                return False
            found = True
    return found
