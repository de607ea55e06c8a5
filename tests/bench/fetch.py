"""Bringing 100 MB home beside OpenSSH's sftp, in one run; 100 small files; and what a cut connection costs in bytes."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from lab.guest.wire import FileEntry, GuestManifest, dump
from lab.machines import lifecycle
from lab.model.errors import LabError, ProvisioningError
from lab.model.lab import Lab
from lab.model.machine import Machine, SshEndpoint
from lab.model.paths import MANIFEST_FILE, SSH_CONFIG_FILE
from lab.remote import connect
from lab.remote.base import Transport
from lab.runs.fetch import fetch
from lab.system import proc
from lab.system.wait import Deadline
from tests.bench import targets
from tests.bench.figure import Figure
from tests.bench.loopback import loopback

NAME: Final = "bench"
BYTES: int = 100_000_000
FOLDER: str = "/var/tmp/lab-bench"  # in a machine that is ours alone and is removed afterwards
FILE: Final = "noise1"
FILES: int = 100
FILE_BYTES: Final = 10_000
MAKE: Final = """mkdir -p "$1" && cd "$1" || exit
n=0
while [ $n -lt "$2" ]; do n=$((n + 1)); head -c "$3" /dev/urandom > "noise$n" || exit; done
sha256sum noise*
"""
LIMIT_S: Final = 600.0
MIB: Final = 1024 * 1024


def measure(lab: Lab, runs: int) -> list[Figure]:
    """Whole fetches, logins included, of ours and of sftp in turn, and of many files; then one cut in the middle."""
    lifecycle.down(lab, NAME)
    machine = lifecycle.up(lab, replace(lab.config.machine.spec(), name=NAME), lock_timeout_s=lab.config.lock_timeout_s)
    try:
        endpoint = machine.endpoint
        if not isinstance(endpoint, SshEndpoint):
            raise ProvisioningError("this machine is not reached over SSH: nothing is fetched", fix="--provider qemu")
        with connect(lab, endpoint, _soon(lab)) as link:
            _prepare(link, _soon(lab))
        ours, theirs, many = [], [], []
        for _ in range(max(1, min(runs, 3))):
            many.append(_many(lab, endpoint))
            ours.append(_timed(lambda folder: _ours(lab, endpoint, folder)))
            theirs.append(_timed(lambda folder: _sftp(lab, machine, folder)))
        again = _cut(lab, endpoint)
    finally:
        lifecycle.down(lab, NAME)
    mine, sftp = (Figure(name=name, samples=tuple(all_of)) for name, all_of in (("lab", ours), ("sftp", theirs)))
    return [
        Figure(name=f"fetch of {BYTES // 1_000_000} MB, lab", samples=mine.samples),
        Figure(name=f"fetch of {BYTES // 1_000_000} MB, OpenSSH's sftp", samples=sftp.samples),
        Figure(name="lab ÷ sftp", samples=(mine.median / sftp.median,), unit="×", target=targets.SFTP_RATIO),
        Figure(
            name=f"fetch of {FILES} files, {FILES * FILE_BYTES // 1_000_000} MB in all",
            samples=tuple(many),
            target=targets.MANY_FILES_S,
        ),
        Figure(name="sent again after a cut", samples=(again,), unit="MiB", target=targets.RESENT_MIB),
    ]


def _soon(lab: Lab) -> Deadline:
    return Deadline.after(LIMIT_S, lab.cancel)


def _prepare(link: Transport, deadline: Deadline) -> None:
    """Two sealed folders in the machine: one file, and many; none can be compressed."""
    _make(link, FOLDER, 1, BYTES, deadline)
    _make(link, f"{FOLDER}-many", FILES, FILE_BYTES, deadline)


def _make(link: Transport, folder: str, files: int, size: int, deadline: Deadline) -> None:
    made = link.run(["sh", "-c", MAKE, "make", folder, str(files), str(size)], deadline)
    if not made.ok:
        raise ProvisioningError("the machine has no room for the files", fix="lab down bench", detail=made.tail())
    lines = [line.split() for line in made.text().splitlines()]
    entries = tuple(FileEntry(path=name, size=size, sha256=digest) for digest, name in lines)
    manifest = GuestManifest(
        run_id=NAME, plan_digest="", boot_id="", cells=(), files=entries, outcome="complete", reason=""
    )
    link.put_bytes(dump(manifest).encode(), f"{folder}/{MANIFEST_FILE}", deadline)


def _timed(what: Callable[[Path], object]) -> float:
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as folder:
        began = time.monotonic()
        what(Path(folder))
        return time.monotonic() - began


def _ours(lab: Lab, endpoint: SshEndpoint, folder: Path) -> None:
    with connect(lab, endpoint, _soon(lab)) as link:
        fetch(link, FOLDER, folder, _soon(lab), progress=lambda _done, _total: None)


def _many(lab: Lab, endpoint: SshEndpoint) -> float:
    """The fetch alone: a demo is logged in already when its results come home."""
    with connect(lab, endpoint, _soon(lab)) as link:
        source = f"{FOLDER}-many"
        return _timed(lambda folder: fetch(link, source, folder, _soon(lab), progress=lambda _done, _total: None))


def _sftp(lab: Lab, machine: Machine, folder: Path) -> None:
    config = lab.paths.machine(machine.spec.name) / SSH_CONFIG_FILE
    argv = [proc.require_tool("sftp"), "-q", "-b", "-", "-F", str(config), machine.spec.name]
    script = f"get {FOLDER}/{FILE} {folder / FILE}\n".encode()
    proc.check(argv, stdin=script, deadline=_soon(lab), error=LabError, fix="run it by hand")


def _cut(lab: Lab, endpoint: SshEndpoint) -> float:
    """MiB that crossed the wire beyond a fetch that is not cut: half, then the line is lost, then the rest."""
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as folder:
        with _counted(endpoint, None) as (where, whole):
            _ours(lab, where, Path(folder) / "whole")
        with _counted(endpoint, BYTES // 2) as (where, first), contextlib.suppress(LabError):
            _ours(lab, where, Path(folder) / "cut")
        with _counted(endpoint, None) as (where, rest):
            _ours(lab, where, Path(folder) / "cut")
    return (first.crossed + rest.crossed - whole.crossed) / MIB


class _Counted:
    """A connection to the machine that counts what comes from there, and is lost after `allowed` bytes."""

    def __init__(self, allowed: int | None) -> None:
        self.crossed = 0
        self._allowed = allowed
        self._far: socket.socket | None = None

    def open(self, endpoint: SshEndpoint) -> _Counted:
        self._far = socket.create_connection((endpoint.host, endpoint.port), 30)
        self._far.settimeout(None)
        return self

    def recv(self, nbytes: int, /) -> bytes:
        assert self._far is not None
        if self._allowed is not None and self.crossed >= self._allowed:
            self.close()
            return b""
        chunk = self._far.recv(nbytes)
        self.crossed += len(chunk)
        return chunk

    def sendall(self, data: bytes, /) -> None:
        assert self._far is not None
        self._far.sendall(data)

    def shutdown(self, how: int, /) -> None:
        assert self._far is not None
        self._far.shutdown(how)

    def close(self) -> None:
        assert self._far is not None
        with contextlib.suppress(OSError):
            self._far.shutdown(socket.SHUT_RDWR)
        self._far.close()


@contextlib.contextmanager
def _counted(endpoint: SshEndpoint, allowed: int | None) -> Iterator[tuple[SshEndpoint, _Counted]]:
    line = _Counted(allowed)
    with loopback(lambda: line.open(endpoint)) as port:
        yield replace(endpoint, host="127.0.0.1", port=port), line
