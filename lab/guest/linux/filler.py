"""Fills the idle time of a machine that counts instructions with no-ops, which QEMU executes for almost nothing.

Such a machine's clock advances with its instructions; while it idles, the clock follows the host's, a second for a
second. Beside a process of the lowest priority that only executes no-ops it never idles: QEMU translates a page of them
into a handful of the host's instructions, so an idle second passes in a twentieth of one. What waits for the host all
the same, its disk above all, takes the guest twenty times as long by its clock. Why and what it changes: docs/adr/0013.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import platform
import select
import signal
from collections.abc import Iterator
from typing import Optional

PAGE = 4096  # QEMU goes from one translated block to the next by itself only inside a page
LOWEST = 19
BEGIN_S = 10.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def no_ops(machine: str) -> bytes | None:
    """A page of no-ops with a jump back to its start; None for any other processor."""
    if machine == "x86_64":
        return b"\x90" * (PAGE - 5) + b"\xe9" + (-PAGE).to_bytes(4, "little", signed=True)
    if machine == "aarch64":
        words = PAGE // 4
        return b"\x1f\x20\x03\xd5" * (words - 1) + (0x14000000 | (1 - words) & 0x3FFFFFF).to_bytes(4, "little")
    return None


@contextlib.contextmanager
def filled(*, wanted: bool) -> Iterator[Optional[int]]:
    """Fill idle time inside the block; yields the pid of the process that does, None where none can.

    It dies with this process, however that ends.
    """
    code = no_ops(platform.machine()) if wanted else None
    pid = None if code is None else _start(code)
    try:
        yield pid
    finally:
        if pid is not None:
            _end(pid)


def _start(code: bytes) -> int | None:
    """The pid of the process once it runs; None where the machine does not let it."""
    begun, tells = os.pipe()
    parent, pid = os.getpid(), None
    with contextlib.suppress(OSError):
        pid = os.fork()
    if pid == 0:
        _fill(code, parent, tells)
    os.close(tells)
    runs = pid is not None and select.select([begun], [], [], BEGIN_S)[0] and os.read(begun, 1)
    os.close(begun)
    if pid is not None and not runs:
        _end(pid)
    return pid if runs else None


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _fill(code: bytes, parent: int, tells: int) -> None:
    """The child: never returns."""
    try:
        os.setsid()  # a scheduling group of its own, where sessions have one
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, signal.SIG_DFL)
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(0)
        os.nice(LOWEST)
        with contextlib.suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as group:
            group.write(str(LOWEST))
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        page = mmap.mmap(-1, PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        run = ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        os.write(tells, b"1")
        for number in map(int, os.listdir("/proc/self/fd")):
            if number > 2:  # the run's lock among them
                with contextlib.suppress(OSError):
                    os.close(number)
        run()
    finally:
        os._exit(1)
