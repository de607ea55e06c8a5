"""Where processes listen: this very process, by the kernel's own tables."""

from __future__ import annotations

import os
import socket

import pytest

from lab.guest.linux.listeners import listening, parse_listening

TCP6 = (
    "  sl  local_address   remote_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000"
    " 00000000     0        0 4711 1 0 100 0 0 10 0\n"
    "   1: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 01 00000000:00000000 00:00000000"
    " 00000000     0        0 4712 1 0 100 0 0 10 0\n"
)


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_socket_of_ours_is_found(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            pytest.skip("this host has no IPv6 loopback")
        place = f"[{host}]:{listener.getsockname()[1]}" if ":" in host else f"{host}:{listener.getsockname()[1]}"
        assert place not in listening([os.getpid()])
        listener.listen()
        assert place in listening([os.getpid()])


def test_a_recorded_table_of_a_little_endian_kernel() -> None:
    assert parse_listening(TCP6) == {"4711": ("::1", 0x1F90)}


def test_a_process_that_is_gone() -> None:
    assert listening([2**22 + 1]) == []
