"""The TCP sockets on which processes listen, from /proc."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from lab.guest.linux.procfs import read

LISTEN = "0A"


def parse_listening(text: str) -> dict[str, tuple[str, int]]:
    """/proc/net/tcp or tcp6: inode -> (address, port) of the sockets that listen."""
    found = {}
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == LISTEN:
            address, _, port = fields[1].partition(":")
            found[fields[9]] = (_address(address), int(port, 16))
    return found


def _address(hexadecimal: str) -> str:
    """The address from its four-byte words in host byte order."""
    words = [int(hexadecimal[i : i + 8], 16) for i in range(0, len(hexadecimal), 8)]
    packed = struct.pack("=%dI" % len(words), *words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def listening(pids: Iterable[int]) -> list[str]:
    """ADDRESS:PORT of every TCP socket on which one of these processes listens, in order of ports."""
    found: set[tuple[int, str]] = set()
    for pid in pids:
        sockets: dict[str, tuple[str, int]] = {}
        for table in ("tcp", "tcp6"):
            sockets.update(parse_listening(read("/proc/%d/net/%s" % (pid, table), "")))
        for descriptor in Path("/proc/%d/fd" % pid).glob("*"):
            try:
                kind, _, inode = os.readlink(str(descriptor)).partition(":")
            except OSError:
                continue
            if kind == "socket" and inode.strip("[]") in sockets:
                address, port = sockets[inode.strip("[]")]
                found.add((port, "[%s]:%d" % (address, port) if ":" in address else "%s:%d" % (address, port)))
    return [text for _, text in sorted(found)]
