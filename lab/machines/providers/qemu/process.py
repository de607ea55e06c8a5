"""Finds, queries and ends the QEMU process of a machine. A pid alone is never trusted; the machine's UUID decides."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab.machines.providers.qemu.qmp import Qmp, connect, forwarded_port
from lab.machines.vm import keeper
from lab.model.errors import LabError, PreconditionError, ProvisioningError
from lab.model.paths import QMP_SOCKET
from lab.system import unix_socket
from lab.system.wait import Deadline

if TYPE_CHECKING:
    import psutil  # imported where it is used: querying a machine that answers does not need it

LONGEST_SOCKET: Final = 103  # bytes without the final NUL; macOS is the strictest (sys/un.h)
ASK_S: Final = 3.0
QUIT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuStatus:
    """QEMU's answer: its run state ("running", "paused", "io-error", …), the forwarded SSH port, and whether the
    machine's keeper is connected."""

    status: str
    port: int
    kept: bool = True


def run_dir_path(machine_id: str) -> Path:
    """The folder of the QMP socket: short, since the path must fit a socket address. Raises PreconditionError."""
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    directory = Path(tempfile.gettempdir()) / f"lab-{owner}" / machine_id[:12]
    if len(os.fsencode(directory / QMP_SOCKET)) > LONGEST_SOCKET:
        raise PreconditionError(f"{directory} is too long for a Unix socket", fix="set TMPDIR to a shorter path")
    return directory


def make_run_dir(directory: Path) -> None:
    """Create it and its parent, private. Raises PreconditionError when one exists and is not private to this user.

    The temporary folder of an earlier session may be gone: it is created again, since the machine keeps its name.
    """
    temporary = directory.parent.parent
    missing = [folder for folder in (temporary, *temporary.parents) if not folder.exists()]
    try:
        for folder in (*reversed(missing), directory.parent, directory):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        why = error.strerror or str(error)
        raise PreconditionError(f"cannot make {directory}: {why}", fix="lab down, then lab up") from error
    for folder in (directory.parent, directory):
        status = folder.lstat()
        # on Windows a temporary folder is private to its user, and modes have no meaning
        private = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)
        if not stat.S_ISDIR(status.st_mode) or not private:
            raise PreconditionError(f"{folder} is not a private folder of this user", fix=f"remove {folder}")


@contextmanager
def session(socket: Path, uuid: str, deadline: Deadline) -> Iterator[Qmp]:
    """A QMP session with the QEMU behind `socket`, if it runs this machine. Raises LabError."""
    with connect(socket, deadline) as qmp:
        answered = str(qmp.execute("query-uuid")["UUID"]).replace("-", "")
        if answered != uuid.replace("-", ""):
            raise PreconditionError(f"{socket} belongs to another machine ({answered})", fix="lab doctor")
        yield qmp


def ask(socket: Path, uuid: str) -> QemuStatus | None:
    """QEMU's status, or None when no QEMU of this machine answers."""
    if not unix_socket.there(socket):
        return None
    try:
        with session(socket, uuid, Deadline.after(ASK_S)) as qmp:
            status = str(qmp.execute("query-status")["status"])
            port = forwarded_port(qmp.monitor("info usernet")) or 0
            outlets = [str(device["filename"]) for device in qmp.execute("query-chardev")]
            kept = not any(name.startswith("disconnected:") for name in outlets)
            return QemuStatus(status=status, port=port, kept=kept)
    except LabError:
        return None


def processes(uuid: str) -> list[psutil.Process]:
    """Every QEMU process of this machine, found by its UUID on the command line."""
    return _started(["-uuid", uuid])


def open_files(uuid: str) -> set[Path]:
    """What this machine's QEMU has open, as far as this user may know: asked of the system, since QEMU may hang."""
    import psutil

    found: set[Path] = set()
    for process in processes(uuid):
        with contextlib.suppress(psutil.Error):
            found |= {Path(file.path) for file in process.open_files()}
    return found


def keepers(uuid: str) -> list[psutil.Process]:
    """Every keeper process of this machine."""
    return _started([keeper.mark(uuid)])


def _started(words: list[str]) -> list[psutil.Process]:
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            argv = process.cmdline()
            if words[0] in argv and argv[argv.index(words[0]) :][: len(words)] == words:
                found.append(process)
    return found


def disks(name: str) -> list[tuple[str, Path]]:
    """UUID and the disk with file name `name` of every running QEMU, by its command line."""
    import psutil

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            argv = process.cmdline()
            uuid = argv[argv.index("-uuid") + 1 :][:1] if "-uuid" in argv else []
            options = [option.partition("=")[2] for word in argv for option in word.replace(",,", "\0").split(",")]
            places = [Path(option.replace("\0", ",")) for option in options if option.endswith(name)]
            found += [(uuid[0], place) for place in places if uuid and place.name == name]
    return found


def end(socket: Path, uuid: str) -> None:
    """End every process of this machine: by QMP quit, then TERM, then KILL. Idempotent."""
    import psutil

    quitting = False
    with contextlib.suppress(LabError), session(socket, uuid, Deadline.after(ASK_S)) as qmp:
        qmp.execute("quit")
        quitting = True
    patience: list[Callable[[psutil.Process], object]] = [psutil.Process.terminate, psutil.Process.kill]
    for act in ([_wait_only] if quitting else []) + patience:
        left = processes(uuid)
        for process in left:
            with contextlib.suppress(psutil.Error):
                act(process)
        psutil.wait_procs(left, timeout=QUIT_S)
        if not processes(uuid):
            _end_keepers(uuid)
            return
    raise ProvisioningError(f"cannot end QEMU (pid {processes(uuid)[0].pid})", fix="run the command again")


def _end_keepers(uuid: str) -> None:
    """They exit with QEMU, whose sockets they read."""
    import psutil

    _, left = psutil.wait_procs(keepers(uuid), timeout=QUIT_S)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=QUIT_S)


def _wait_only(_: psutil.Process) -> None:
    """QMP quit was sent."""


def running(pid: int) -> bool:
    """Whether a child process is still running."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
