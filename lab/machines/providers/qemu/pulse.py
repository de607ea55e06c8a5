"""Decides whether a QEMU machine hangs: by its heartbeat, QEMU's counters, and the run time of its virtual CPUs.

Also resolves one kind of hang. QEMU before 8.1 translates guest code without holding its page, so code that another
virtual CPU changes meanwhile (a static key of Linux: `int3` written, then overwritten) may stay translated as it was.
Writing the same bytes again, while the machine is stopped, makes QEMU translate them again.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from lab.machines.hang import HangDetector, Reading, Verdict, words
from lab.machines.providers.qemu import process as qemu_process
from lab.machines.providers.qemu.qmp import Qmp
from lab.machines.providers.qemu.start import QemuHandle, control
from lab.machines.vm import heartbeat, keeper
from lab.model.errors import LabError
from lab.model.paths import HEARTBEAT_LOG, SERIAL_LOG
from lab.system import unix_socket
from lab.system.wait import Deadline

if TYPE_CHECKING:
    import psutil  # imported where it is used

LOOK_S: Final = 12.0  # the longest time of one `look`; an undecided machine does not count as hung
EARLY_LOOK_S: Final = 40.0  # before the first heartbeat; ends at once when there is progress
STARTING_S: Final = 10.0  # after a start, a missing heartbeat is normal for so long
STEP_S: Final = 0.5
ASK_S: Final = 5.0
PLACES: Final = 40  # how often the program counters are read: a hung CPU loops over a few addresses
APART_S: Final = 0.02
CODE_BYTES: Final = 5  # the size of a static key's code
COUNTED_SLOW: Final = 8.0  # processor seconds that an emulated CPU needs for one second of its clock
STALL_S: Final = 4.0
TRIES: Final = 5
KERNEL: Final = 0xFFFF_8000_0000_0000  # its first address; user space code is not touched
BEATS: Final = 8  # a hung machine that was stopped for a moment also sends a few
GDB_SOCKET: Final = "gdb"
_PULSES: Final[dict[str, HangDetector]] = {}  # an undecided `look` is continued by the next one
_TRANSLATED: Final = re.compile(r"TB count\s+(\d+)")
_PACKET: Final = re.compile(rb"\$([^#]*)#[0-9a-fA-F]{2}")
_CODE: Final = re.compile(rf"[0-9a-f]{{{2 * CODE_BYTES}}}|E[0-9a-fA-F]{{2}}")
_DONE: Final = re.compile(r"OK|E[0-9a-fA-F]{2}")
_COUNTER: Final = re.compile(r"\b(?:RIP|PC)=([0-9a-f]+)")


def starting(handle: QemuHandle) -> bool:
    """Whether QEMU was started within STARTING_S."""
    try:
        return abs(time.time() - control(handle).stat().st_ctime) < STARTING_S
    except OSError:
        return True


def look(handle: QemuHandle, deadline: Deadline) -> tuple[Verdict, str]:
    """Watch until it is known whether it hangs, or until the deadline; returns the evidence as text."""
    pulse = _PULSES.setdefault(handle.uuid, HangDetector())
    _continue_keeper(handle.uuid)
    while True:
        now = read(handle)
        if now is None:
            _PULSES.pop(handle.uuid, None)
            return "unsure", ""
        verdict = pulse.feed(now)
        if verdict == "hung" and _continue_keeper(handle.uuid):
            return "unsure", ""
        if verdict == "hung":
            return verdict, words(pulse, now, places(handle))
        if verdict == "alive" or deadline.passed():
            return verdict, ""
        deadline.sleep(STEP_S)


def read(handle: QemuHandle) -> Reading | None:
    """One reading; None when QEMU does not answer or does not run the machine now."""
    directory = Path(handle.directory)
    beat = heartbeat.last_beat(directory / HEARTBEAT_LOG)
    try:
        with _session(handle) as qmp:
            if qmp.execute("query-status")["status"] != "running":
                return None
            threads = [int(cpu["thread-id"]) for cpu in qmp.execute("query-cpus-fast")]
            life: tuple[object, ...] = () if beat is None else (beat.boot_id, beat.uptime_s)
            beats = beat is not None and beat.steady
            if not beats:
                life += _booting(qmp, directory)
    except LabError:
        return None
    return Reading(
        at_s=time.monotonic(),
        life=life,
        beats=beats,
        uptime_s=0.0 if beat is None else beat.uptime_s,
        cpu_s=_times(threads, handle.uuid),
        age_s=0.0 if beat is None else beat.age_s,
        gap_s=1.0 if beat is None else beat.gap_s,
        slow=COUNTED_SLOW if handle.clock == "counted" else 1.0,
    )


def places(handle: QemuHandle) -> list[str]:
    """The program counters of its virtual CPUs; empty when QEMU does not answer."""
    counters: set[str] = set()
    with contextlib.suppress(LabError), _session(handle) as qmp:
        for _ in range(PLACES):
            counters.update(_COUNTER.findall(qmp.monitor("info registers -a")))
            Deadline.after(APART_S).sleep(APART_S)
    return sorted(counters)


def free(handle: QemuHandle) -> bool:
    """Make QEMU translate the kernel code in which a hung machine loops again. Whether heartbeats come again.

    Changes nothing in the machine: each byte is replaced by itself. A machine that hangs again is tried again.
    """
    if handle.accel != "tcg" or handle.arch != "x86_64":
        return False
    came = 1
    for _ in range(TRIES):
        stuck = [place for place in places(handle) if int(place, 16) >= KERNEL]
        if came == 0 or not stuck or not _translated_again(handle, stuck):
            return False
        if (came := _beats(handle)) >= BEATS:
            return True
    return False


def _translated_again(handle: QemuHandle, stuck: list[str]) -> bool:
    path = Path(handle.run_dir) / GDB_SOCKET
    try:
        with _session(handle) as qmp:
            qmp.monitor(f"gdbserver unix:{path},server=on,wait=off")
            try:
                _rewrite(path, stuck)
            finally:
                qmp.monitor("gdbserver none")
                qmp.execute("cont")
                path.unlink(missing_ok=True)
    except (LabError, OSError, ValueError):
        return False
    return True


def _beats(handle: QemuHandle) -> int:
    """How many heartbeats come, until BEATS or until none comes for STALL_S."""
    log = Path(handle.directory) / HEARTBEAT_LOG
    before = heartbeat.last_beat(log)
    last, came, stall = before and before.uptime_s, 0, Deadline.after(STALL_S)
    while came < BEATS and not stall.passed():
        stall.sleep(STEP_S)
        now = heartbeat.last_beat(log)
        if now is not None and now.uptime_s != last:
            last, came, stall = now.uptime_s, came + 1, Deadline.after(STALL_S)
    return came


class GdbLink(Protocol):
    """A connection to QEMU's GDB server."""

    def sendall(self, data: bytes, /) -> None: ...

    def recv(self, size: int, /) -> bytes: ...


def _rewrite(path: Path, stuck: list[str]) -> None:
    """By QEMU's GDB server, which stops the machine while a client is connected."""
    with unix_socket.connected(path, ASK_S) as link:
        rewrite(link, stuck)


def rewrite(link: GdbLink, stuck: list[str]) -> None:
    """Replace the code at each address by itself. Raises OSError, ValueError."""
    session = _Debug(link)
    for place in stuck:
        code = session.ask(f"m{place},{CODE_BYTES}", _CODE)
        if not code.startswith("E"):  # that page is not mapped for this virtual CPU
            session.ask(f"M{place},{CODE_BYTES}:{code}", _DONE)
    session.ask("D", _DONE)


class _Debug:
    """The GDB remote protocol. An answer is recognised by its form, since stop notices come in between."""

    def __init__(self, link: GdbLink) -> None:
        self._link, self._rest = link, b""

    def ask(self, command: str, wanted: re.Pattern[str]) -> str:
        self._link.sendall(f"${command}#{sum(command.encode()) & 255:02x}".encode())
        while True:
            answer = self._packet()
            if wanted.fullmatch(answer):
                return answer
            if not answer.startswith("T"):
                raise ValueError(f"QEMU's GDB server answers {answer[:40]!r} to {command[:40]}")

    def _packet(self) -> str:
        while (found := _PACKET.search(self._rest)) is None:
            chunk = self._link.recv(4096)
            if not chunk:
                raise ConnectionError("QEMU's GDB server closed the connection")
            self._rest += chunk
        self._rest = self._rest[found.end() :]
        self._link.sendall(b"+")
        return found[1].decode("ascii")


def _booting(qmp: Qmp, directory: Path) -> tuple[object, ...]:
    """The progress of a machine without heartbeats: newly translated code, disk operations, console output."""
    translated = _TRANSLATED.search(qmp.monitor("info jit"))
    disks = tuple(
        (disk["stats"].get("rd_operations"), disk["stats"].get("wr_operations"))
        for disk in qmp.execute("query-blockstats")
    )
    with contextlib.suppress(OSError):
        return (translated and translated[1], disks, (directory / SERIAL_LOG).stat().st_size)
    return (translated and translated[1], disks)


def _times(threads: list[int], uuid: str) -> tuple[tuple[float, float], ...]:
    """For each thread, the seconds that it ran and that it waited for a processor."""
    try:
        words = [Path(f"/proc/{thread}/schedstat").read_text(encoding="ascii").split() for thread in threads]
        return tuple((int(ran) / 1e9, int(waited) / 1e9) for ran, waited, *_ in words)
    except (OSError, ValueError):
        return _estimate(uuid)


def _estimate(uuid: str) -> tuple[tuple[float, float], ...]:
    """The same for the whole process, where the system does not count waiting: the time that other processes ran."""
    import psutil

    ran = 0.0
    for process in qemu_process.processes(uuid):
        with contextlib.suppress(psutil.Error):
            ran += sum(process.cpu_times()[:2])
    idle = psutil.cpu_times().idle / (os.cpu_count() or 1)
    return ((ran, max(0.0, time.monotonic() - idle - ran)),)


@contextlib.contextmanager
def _session(handle: QemuHandle) -> Iterator[Qmp]:
    with qemu_process.session(control(handle), handle.uuid, Deadline.after(ASK_S)) as qmp:
        yield qmp


def stopped(uuid: str) -> list[psutil.Process]:
    """Processes of this machine that a signal stopped."""
    import psutil

    found = []
    for process in qemu_process.processes(uuid):
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_STOPPED:
                found.append(process)
    return found


def _continue_keeper(uuid: str) -> bool:
    """Continue the keeper if a signal stopped it. True: it was stopped, so that the missing heartbeat proves nothing.

    The keeper is lab's own process; without it no heartbeat is ever written.
    """
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if keeper.mark(uuid) in process.cmdline() and process.status() == psutil.STATUS_STOPPED:
                process.resume()
                return True
    return False
