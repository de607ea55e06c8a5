"""The network cut, for this process and the programs that it starts: a rehearsal for a hall without Wi-Fi.

Sockets of this process reach this host and the machine alone; programs get a proxy that answers nothing. A namespace of
the kernel would cut off the machine too, which listens on this host's loopback.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import sys
from collections.abc import Collection, Iterator
from typing import Final

NOWHERE: Final = "http://127.0.0.1:9"  # the port of the discard service: nobody listens
PROXIES: Final = tuple(
    name for word in ("http_proxy", "https_proxy", "all_proxy") for name in (word, word.upper())
)  # each program reads its own spelling
EXEMPT: Final = ("no_proxy", "NO_PROXY")
LOCAL_NAMES: Final = ("localhost", "", None)

_allowed: list[Collection[str]] = []  # while the network is cut: the hosts that are still reached
_hooked: list[bool] = []  # a hook cannot be taken away again: it is added once


@contextlib.contextmanager
def cut(allowed: Collection[str] = ()) -> Iterator[None]:
    """Refuse every connection but those to this host and to `allowed`, while the block runs."""
    if not _hooked:
        sys.addaudithook(_look)
        _hooked.append(True)
    before = {name: os.environ.get(name) for name in (*PROXIES, *EXEMPT)}
    os.environ.update(dict.fromkeys(PROXIES, NOWHERE))
    os.environ.update(dict.fromkeys(EXEMPT, ",".join(("localhost", "127.0.0.1", "::1", *allowed))))
    _allowed.append(allowed)
    try:
        yield
    finally:
        _allowed.pop()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _look(event: str, args: tuple[object, ...]) -> None:
    if not _allowed or event not in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        return
    target = args[0] if event == "socket.getaddrinfo" else args[1]
    host = target[0] if isinstance(target, tuple) and target else target
    if isinstance(target, bytes) or (event != "socket.getaddrinfo" and not isinstance(target, tuple)):
        return  # a socket of the file system
    if not _reached(host):
        raise OSError(errno.ENETUNREACH, f"the network is cut for this rehearsal: {host}")


def _reached(host: object) -> bool:
    if host in LOCAL_NAMES or any(host in hosts for hosts in _allowed):
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False
