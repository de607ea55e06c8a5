"""What one uprobe trap costs on this host's CPU: a probe that does nothing, on a function that does nothing.

A counted machine counts the instructions of a probe's handler, and not the switch into the kernel and back.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, Final

from lab.system import elf

FUNCTION: Final = "abs"  # in every C library, takes a number and calls nothing
CALLS: Final = 500
ROUNDS: Final = 7
UPROBE: Final = Path("/sys/bus/event_source/devices/uprobe/type")
PERF_EVENT_OPEN: Final = {"x86_64": 298, "aarch64": 241}
ATTR_SIZE: Final = 128
AT_PATH_AND_OFFSET: Final = 56  # config1 and config2 of struct perf_event_attr (perf_event_open(2))
CLOSE_ON_EXEC: Final = 8


def trap_ns() -> float | None:
    """Nanoseconds of CPU time of one trap, measured in half a second. None: another system, or no permission."""
    number = PERF_EVENT_OPEN.get(platform.machine())
    with suppress(OSError, ValueError, StopIteration, AttributeError):
        if number is None or not UPROBE.exists():
            return None
        library = ctypes.CDLL(None, use_errno=True)
        path, offset = _function()
        without = median(_call_ns(library) for _ in range(ROUNDS))
        probe = _open(library, number, path, offset)
        try:
            with_probe = median(_call_ns(library) for _ in range(ROUNDS))
            hits = struct.unpack("<Q", os.read(probe, 8))[0]
        finally:
            os.close(probe)
        return max(0.0, with_probe - without) if hits >= ROUNDS * CALLS else None
    return None


def _function() -> tuple[bytes, int]:
    """The C library that this process has mapped, and where in the file the function begins."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    names = ("/libc.so", "/libc-", "/ld-musl-")
    path = next(line.split()[-1] for line in lines if any(name in line for name in names))
    with Path(path).open("rb") as stream, elf.reading(stream) as library:
        symbols: Any = library.get_section_by_name(".dynsym")
        symbol = next(iter(symbols.get_symbol_by_name(FUNCTION) or ()))
        at: int = symbol["st_value"]
        part = next(one for one in library.iter_segments("PT_LOAD") if 0 <= at - one["p_vaddr"] < one["p_filesz"])
        return path.encode(), at - part["p_vaddr"] + part["p_offset"]


def _open(library: ctypes.CDLL, number: int, path: bytes, offset: int) -> int:
    """A counting probe on this process. Raises OSError."""
    name = ctypes.create_string_buffer(path)
    attr = ctypes.create_string_buffer(ATTR_SIZE)
    struct.pack_into("<II", attr, 0, int(UPROBE.read_text(encoding="utf-8")), ATTR_SIZE)
    struct.pack_into("<QQ", attr, AT_PATH_AND_OFFSET, ctypes.addressof(name), offset)
    found: int = library.syscall(number, attr, 0, -1, -1, CLOSE_ON_EXEC)
    if found < 0:
        raise OSError(ctypes.get_errno(), "perf_event_open of a uprobe")
    return found


def _call_ns(library: ctypes.CDLL) -> float:
    call = library[FUNCTION]
    began = time.thread_time_ns()
    for _ in range(CALLS):
        call(1)
    return (time.thread_time_ns() - began) / CALLS
