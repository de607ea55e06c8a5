"""QEMU's answers are bounded and checked like everything that a machine has a hand in."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from lab.machines.providers.qemu import qmp
from lab.machines.providers.qemu.qmp import Qmp
from lab.model.errors import LabError
from lab.system.wait import Deadline


@pytest.mark.parametrize(
    "says",
    [b"[]\n", b"7\n", b"[" * 9000 + b"\n", b"\xff\n", b'{"error": 7}\n', b'{"event": "x"}\n', b"x" * 4000],
)
def test_heartbeat_not_an_object_nor_an_answer_of_qemu(monkeypatch: pytest.MonkeyPatch, says: bytes) -> None:
    monkeypatch.setattr(qmp, "MAX_ANSWER_BYTES", 100_000)
    near, far = socket.socketpair()

    def talk() -> None:
        try:
            while True:
                far.sendall(says)
        except OSError:
            return

    threading.Thread(target=talk, daemon=True).start()
    began = time.monotonic()
    with near, far, pytest.raises(LabError):
        Qmp(near, Deadline.after(1)).execute("query-status")
    assert time.monotonic() - began < 5
