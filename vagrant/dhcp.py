"""The address of a golden machine under Vagrant: its own boot knows QEMU's user network only, libvirt's asks for DHCP.

Laid into the machine by its seed and started by systemd. One broadcast exchange, the address set, then asleep until
half of the lease has passed. RFC 2131; Python's standard library alone.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time

INTERFACE = "eth0"
MAGIC = b"\x63\x82\x53\x63"
MASK, ROUTER, ADDRESS, LEASE_S, KIND, SERVER = 1, 3, 50, 51, 53, 54
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
ANSWER_S = 2.0
SO_BINDTODEVICE = 25

Options = dict[int, bytes]  # an option's number -> its value
Answer = tuple[bytes, Options]  # the address that is offered, and what comes with it


def message(kind: int, transaction: int, mac: bytes, options: Options) -> bytes:
    """A request as bytes; `options`: number -> bytes."""
    # op htype hlen hops xid secs flags(broadcast: we have no address yet) ciaddr yiaddr siaddr giaddr
    head = struct.pack("!BBBBIHH4s4s4s4s", 1, 1, 6, 0, transaction, 0, 0x8000, *[bytes(4)] * 4)
    body = head + mac.ljust(16, b"\0") + bytes(64 + 128) + MAGIC
    for number, value in {KIND: bytes([kind]), **options}.items():
        body += bytes([number, len(value)]) + value
    return body + b"\xff"


def parse(data: bytes, transaction: int) -> Answer | None:
    """(address, options) of an answer to `transaction`, else None."""
    if len(data) < 240 or data[0] != 2 or data[4:8] != struct.pack("!I", transaction) or data[236:240] != MAGIC:
        return None
    options: Options = {}
    at = 240
    while at + 1 < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        options[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return data[16:20], options


def ask(link: socket.socket, kind: int, expected: int, mac: bytes, options: Options) -> Answer | None:
    """Send, and wait a little for the expected kind of answer; None when none came, so that the caller begins anew."""
    transaction = struct.unpack("!I", os.urandom(4))[0]
    ends = time.monotonic() + ANSWER_S
    try:
        link.sendto(message(kind, transaction, mac, options), ("255.255.255.255", 67))
        while (left := ends - time.monotonic()) > 0:
            link.settimeout(left)
            found = parse(link.recv(2048), transaction)
            if found is not None and found[1].get(KIND) == bytes([expected]):
                return found
    except socket.timeout:  # noqa: UP041  # another class before Python 3.10
        return None
    except OSError:  # the interface is not up yet
        time.sleep(0.2)
    return None


def lease(mac: bytes) -> Answer:
    """A new lease, however long the network takes to have one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        link.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, INTERFACE.encode())
        link.bind(("0.0.0.0", 68))
        while True:
            offer = ask(link, DISCOVER, OFFER, mac, {})
            if offer is None or SERVER not in offer[1]:
                continue
            given = ask(link, REQUEST, ACK, mac, {ADDRESS: offer[0], SERVER: offer[1][SERVER]})
            if given is not None:
                return given


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=False)


def main() -> int:
    """Until the machine ends."""
    with open(f"/sys/class/net/{INTERFACE}/address", encoding="ascii") as file:
        mac = bytes.fromhex(file.read().strip().replace(":", ""))
    held = b""
    while True:
        address, options = lease(mac)
        if address != held:
            mask = struct.unpack("!I", options.get(MASK, b"\xff\xff\xff\x00"))[0]
            prefix = bin(mask).count("1")  # noqa: FURB161  # Python 3.9 has no bit_count
            ip("address", "flush", "dev", INTERFACE)
            ip("address", "add", f"{socket.inet_ntoa(address)}/{prefix}", "dev", INTERFACE)
            if ROUTER in options:
                ip("route", "replace", "default", "via", socket.inet_ntoa(options[ROUTER][:4]))
            held = address
            print("address", socket.inet_ntoa(address), flush=True)
        time.sleep(struct.unpack("!I", options.get(LEASE_S, b"\0\0\x0e\x10"))[0] / 2)


if __name__ == "__main__":
    sys.exit(main())
