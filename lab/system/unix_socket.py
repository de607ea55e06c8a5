"""Unix sockets on every system: Windows has them since 2018, and QEMU uses them there, but Python does not.

A named pipe would not do: QEMU serves one client of it, waits for that client before it starts, and none after it
(qemu: chardev/char-pipe.c).
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from pathlib import Path
from typing import Any, Final

AF_UNIX: Final = 1  # of Linux, macOS and Windows alike
PATH_BYTES: Final = 108


def connected(path: Path, timeout_s: float) -> socket.socket:
    """A stream socket connected to `path`; the caller closes it. Raises OSError."""
    sock = socket.socket(AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        if sys.platform == "win32":
            sock.settimeout(None)  # a local connect succeeds or fails at once
            connect_by(ctypes.WinDLL("ws2_32", use_last_error=True), sock, path)
            sock.settimeout(timeout_s)
        else:
            sock.connect(str(path))
    except BaseException:
        sock.close()
        raise
    return sock


def connect_by(library: Any, sock: socket.socket, path: Path) -> None:
    """`connect` of a socket library, with an address that Python cannot build on Windows. Raises OSError."""
    address = AF_UNIX.to_bytes(2, sys.byteorder) + os.fsencode(path).ljust(PATH_BYTES, b"\0")
    if len(address) > 2 + PATH_BYTES or not address.endswith(b"\0"):
        raise OSError(f"{path} is too long for a Unix socket")
    handle = ctypes.c_size_t(sock.fileno()) if sys.platform == "win32" else sock.fileno()
    if library.connect(handle, address, len(address)) != 0:
        raise OSError(f"cannot connect to {path}")


def there(path: Path) -> bool:
    """Whether `path` exists; it may be a socket, which Windows can list but not open."""
    return os.path.lexists(path)
