"""While the network is cut nothing but this host is reached, by this process or by a program that it starts."""

from __future__ import annotations

import os
import socket

import pytest

from lab.system import offline


def test_this_host_is_reached_and_no_other() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, offline.cut():
        socket.create_connection(server.getsockname(), timeout=5).close()
        with pytest.raises(OSError, match="the network is cut"):
            socket.create_connection(("192.0.2.1", 80), timeout=5)
        with pytest.raises(OSError, match="the network is cut"):
            socket.getaddrinfo("proxy.golang.org", 443)
        with pytest.raises(OSError, match="the network is cut"), socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.sendto(b"x", ("192.0.2.1", 53))


def test_programs_get_a_proxy_that_answers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://mine:3128")
    monkeypatch.delenv("https_proxy", raising=False)
    with offline.cut():
        assert os.environ["HTTPS_PROXY"] == os.environ["https_proxy"] == offline.NOWHERE
    assert os.environ["HTTPS_PROXY"] == "http://mine:3128"
    assert "https_proxy" not in os.environ


def test_a_machine_elsewhere_may_stay_reachable() -> None:
    with offline.cut(["192.0.2.7"]), socket.socket() as link:
        link.settimeout(0.05)
        with pytest.raises(TimeoutError):  # not refused: nobody answers there
            link.connect(("192.0.2.7", 22))


def test_afterwards_the_network_is_back() -> None:
    with offline.cut():
        pass
    with socket.socket() as link:
        link.settimeout(0.05)
        with pytest.raises((TimeoutError, OSError), match=r"^(?!.*the network is cut)"):
            link.connect(("192.0.2.1", 80))
