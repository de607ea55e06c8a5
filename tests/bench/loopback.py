"""A loopback port whose connections come out on the far side of a transport."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

CHUNK_BYTES: Final = 32768


class Pipe(Protocol):
    """What a socket and an SSH channel have in common."""

    def recv(self, nbytes: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> None: ...

    def shutdown(self, how: int, /) -> None: ...

    def close(self) -> None: ...


@contextmanager
def loopback(open_pipe: Callable[[], Pipe]) -> Iterator[int]:
    """Listen on a free port of 127.0.0.1 until the block ends; each connection gets a pipe of its own.

    A pipe that cannot be opened closes that connection, as a refused port would; the listener goes on.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        open_now: list[Pipe] = []
        thread = threading.Thread(target=_accept, args=(listener, open_pipe, open_now), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            # shutdown wakes the thread that waits in accept; a plain close would not on Linux
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(5)
            for pipe in open_now:
                _close(pipe)


def _accept(listener: socket.socket, open_pipe: Callable[[], Pipe], open_now: list[Pipe]) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_join, args=(near, open_pipe, open_now), daemon=True).start()


def _join(near: socket.socket, open_pipe: Callable[[], Pipe], open_now: list[Pipe]) -> None:
    try:
        far = open_pipe()
    except Exception:  # noqa: BLE001  # whatever the far side said, here it means: refused
        near.close()
        return
    open_now += [near, far]
    back = threading.Thread(target=_pump, args=(far, near), daemon=True)
    back.start()
    _pump(near, far)
    back.join()
    _close(near)
    _close(far)


def _pump(source: Pipe, sink: Pipe) -> None:
    with contextlib.suppress(OSError, EOFError):
        while chunk := source.recv(CHUNK_BYTES):
            sink.sendall(chunk)
    with contextlib.suppress(OSError, EOFError):
        sink.shutdown(socket.SHUT_WR)


def _close(pipe: Pipe) -> None:
    if isinstance(pipe, socket.socket):
        with contextlib.suppress(OSError):
            pipe.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError, EOFError):
        pipe.close()
