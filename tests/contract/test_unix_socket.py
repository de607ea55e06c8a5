"""The address that Windows is given by hand, given to this system's own library: the structure is the same."""

from __future__ import annotations

import ctypes
import socket
import threading
from pathlib import Path

import pytest

from lab.system import unix_socket

pytestmark = pytest.mark.contract


@pytest.fixture
def listens(tmp_path: Path) -> Path:
    path = tmp_path / "qmp"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def answer() -> None:
        with listener, listener.accept()[0] as link:
            link.sendall(link.recv(64))

    threading.Thread(target=answer, daemon=True).start()
    return path


def test_the_address_made_by_hand_is_a_real_one(listens: Path) -> None:
    with socket.socket(unix_socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        unix_socket.connect_by(ctypes.CDLL(None, use_errno=True), sock, listens)
        sock.settimeout(5)
        sock.sendall(b"hello")
        assert sock.recv(64) == b"hello"


def test_the_systems_own_way(listens: Path) -> None:
    assert unix_socket.there(listens)
    with unix_socket.connected(listens, 5) as sock:
        sock.sendall(b"hello")
        assert sock.recv(64) == b"hello"


def test_nobody_and_a_path_that_is_too_long(tmp_path: Path) -> None:
    assert not unix_socket.there(tmp_path / "none")
    with pytest.raises(OSError, match="No such file"):
        unix_socket.connected(tmp_path / "none", 1)
    library = ctypes.CDLL(None)
    with socket.socket(unix_socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        with pytest.raises(OSError, match="cannot connect to"):
            unix_socket.connect_by(library, sock, tmp_path / "none")
        with pytest.raises(OSError, match="too long"):
            unix_socket.connect_by(library, sock, Path("/" + "x" * 108))
