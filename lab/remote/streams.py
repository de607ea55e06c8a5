"""An SSH channel's streams, as the pumps read and feed them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import BinaryIO, Final, Protocol

from lab.model.errors import FetchError
from lab.system.pumps import no_longer_read

CHUNK_BYTES: Final = 32768


class Channel(Protocol):
    """What is needed of an SSH channel."""

    def recv(self, nbytes: int, /) -> bytes: ...

    def recv_stderr(self, nbytes: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> object: ...

    def shutdown_write(self) -> None: ...

    def close(self) -> None: ...


class Broken(Exception):  # not an error of ours to show: the transport turns it into one
    """The connection went away under a read; bytes may be missing, whatever the exit code says."""


def receive(read: Callable[[int], bytes], nbytes: int = CHUNK_BYTES) -> bytes:
    """One chunk, empty at the end of the stream. Raises TimeoutError as `read` does, and Broken."""
    try:
        return read(nbytes)
    except TimeoutError:
        raise
    except Exception as error:  # the SSH library raises many kinds here, some of its own
        raise Broken(str(error) or type(error).__name__) from error


def append(
    file: BinaryIO, chunks: Iterable[bytes], source: str, max_bytes: int, progress: Callable[[int], None] | None
) -> None:
    """Write what comes, at most `max_bytes`, and keep it on the disk however it ends, so that a next call resumes."""
    copied = 0
    try:
        for chunk in chunks:
            copied += len(chunk)
            if copied > max_bytes:
                raise FetchError(f"{source} holds more than {max_bytes} bytes, which is not expected", fix="lab ssh")
            file.write(chunk)
            if progress is not None:
                progress(copied)
    finally:
        file.flush()
        os.fsync(file.fileno())


def close(channel: Channel) -> None:
    """Close, also when the connection under it is gone already (which makes the SSH library raise)."""
    with contextlib.suppress(Exception):
        channel.close()


def feed(channel: Channel, chunks: Iterable[bytes]) -> None:
    """Write standard input and its end."""
    with no_longer_read():
        for chunk in chunks:
            channel.sendall(chunk)
        channel.shutdown_write()
