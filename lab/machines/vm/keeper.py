"""Writes a machine's console, its heartbeat port and QEMU's output to files of bounded size.

A separate process for each QEMU, since QEMU cannot bound a file's size (docs/adr/0009). QEMU listens on two Unix
sockets, and its output is this process's standard input; this reads them, writes the files and exits with QEMU.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lab.system import unix_socket
from lab.system.wait import Deadline

SOCKETS: Final = {"serial": "tty", "heartbeat": "hb"}  # names as short as QMP's: see `process.LONGEST_SOCKET`
SERIAL_BYTES: Final = 4 << 20
HEARTBEAT_BYTES: Final = 64 << 10
LOG_BYTES: Final = 1 << 20
LINE_BYTES: Final = 4096
CHUNK_BYTES: Final = 65536
BYTES_PER_S: Final = 4 << 20  # faster output waits in the machine
CONNECT_S: Final = 60.0
POLL_S: Final = 0.01
LAST_S: Final = 1.0


def mark(uuid: str) -> str:
    """The argument by which a machine's keeper is found among processes."""
    return f"--keeper-of={uuid}"


def argv(uuid: str, run_dir: Path, serial_log: Path, heartbeat_log: Path, qemu_log: Path) -> list[str]:
    """The command line of the keeper of one machine."""
    files = [str(path) for path in (run_dir, serial_log, heartbeat_log, qemu_log)]
    return [sys.executable, "-P", "-m", "lab.machines.vm.keeper", mark(uuid), *files]


class Capped:
    """An append-only file that drops its beginning when it would grow beyond `cap`; never absent, never truncated."""

    def __init__(self, path: Path, cap: int) -> None:
        self._path, self._cap = path, cap
        self._file = os.open(path, _FLAGS | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size

    def write(self, data: bytes) -> None:
        data = data[-self._cap // 2 :]
        if self._size + len(data) > self._cap:
            self._forget()
        self._size += os.write(self._file, data)

    def _forget(self) -> None:
        """Keep the newer half in a file of the same name."""
        part = self._path.with_name(f".{self._path.name}.new")
        part.unlink(missing_ok=True)
        with self._path.open("rb") as old:
            old.seek(max(0, self._size - self._cap // 2))
            kept = old.read(self._cap // 2)
        new = os.open(part, _FLAGS | os.O_APPEND | os.O_EXCL, 0o600)
        os.write(new, kept)
        os.close(self._file)
        if os.name == "nt":
            os.close(new)
        try:
            part.replace(self._path)
        except PermissionError:  # Windows, while the file is open elsewhere: then nothing is kept
            part.unlink(missing_ok=True)
            os.truncate(self._path, 0)
            kept = b""
        self._file = os.open(self._path, _FLAGS | os.O_APPEND, 0o600) if os.name == "nt" else new
        self._size = len(kept)


_FLAGS: Final = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0)


class Beats:
    """Passes on the newest whole heartbeat of the data; anything else on that port is dropped."""

    def __init__(self, into: Callable[[bytes], None]) -> None:
        self._into = into
        self._rest = b""

    def write(self, data: bytes) -> None:
        from lab.machines.vm import heartbeat  # after the sockets are open: QEMU waits for that

        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-LINE_BYTES:]
        for line in reversed(lines):
            if len(line) < LINE_BYTES and heartbeat.parse(line) is not None:
                self._into(line + b"\n")
                return


def pump(path: Path, write: Callable[[bytes], None], gone: threading.Event) -> None:
    """Copy from the socket at `path` until QEMU closes it, or is `gone` before it created the socket."""
    waited = Deadline.after(CONNECT_S)
    while True:
        try:
            sock = unix_socket.connected(path, CONNECT_S)
        except OSError:
            if waited.passed() or gone.is_set():
                return
            waited.sleep(POLL_S)
            continue
        break
    with sock:
        sock.settimeout(None)
        while chunk := _received(sock.recv):
            write(chunk)
            pause_s = len(chunk) / BYTES_PER_S
            Deadline.after(pause_s).sleep(pause_s)


def drain(write: Callable[[bytes], None], gone: threading.Event) -> None:
    """Copy QEMU's output from standard input at once: QEMU blocks while no process reads it."""
    while chunk := os.read(0, CHUNK_BYTES):
        write(chunk)
    gone.set()


def _received(receive: Callable[[int], bytes]) -> bytes:
    try:
        return receive(CHUNK_BYTES)
    except OSError:  # QEMU was killed
        return b""


def main(words: list[str]) -> None:
    """`--keeper-of=UUID RUN_DIR SERIAL_LOG HEARTBEAT_LOG QEMU_LOG`."""
    run_dir, serial_log, heartbeat_log, qemu_log = (Path(word) for word in words[1:])
    if hasattr(os, "nice"):
        os.nice(5)
    serial = Capped(serial_log, SERIAL_BYTES)
    beats = Beats(Capped(heartbeat_log, HEARTBEAT_BYTES).write)
    work = [(SOCKETS["serial"], serial.write), (SOCKETS["heartbeat"], beats.write)]
    gone = threading.Event()
    threads = [threading.Thread(target=pump, args=(run_dir / name, write, gone)) for name, write in work]
    printed = threading.Thread(target=drain, args=(Capped(qemu_log, LOG_BYTES).write, gone), daemon=True)
    printed.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    printed.join(LAST_S)  # a child of QEMU may hold its output open


if __name__ == "__main__":
    main(sys.argv[1:])
