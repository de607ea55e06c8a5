"""The laptop kept awake for a show or a rehearsal: no sleep, no lock of an idle screen, no notice of a closed lid."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final

from lab.model.errors import Cancelled, LabError
from lab.system import proc
from lab.system.wait import Deadline

LONGEST_S: Final = 86400.0
WHY: Final = "a show or a rehearsal is on"
# the first that is installed is held; each keeps its word for as long as its child runs
LINUX: Final = (
    ("gnome-session-inhibit", "--inhibit", "idle:suspend", "--reason", WHY),
    ("systemd-inhibit", "--what=idle:sleep:handle-lid-switch", "--who=lab", f"--why={WHY}", "--mode=block"),
)
NOTIFICATIONS: Final = "notifications are not held back here: turn on “do not disturb” before the show"
# of winbase.h: keep system and display on, until it is said otherwise
ES_CONTINUOUS: Final = 0x80000000
ES_AWAKE: Final = ES_CONTINUOUS | 0x00000001 | 0x00000002


@contextlib.contextmanager
def awake(remark: Callable[[str], None]) -> Iterator[None]:
    """Hold sleep back while the block runs; `remark` gets why it could not be."""
    if sys.platform == "win32":
        with _windows():
            yield
        return
    argv = command()
    if argv is None:
        remark("nothing here holds sleep back: turn sleep off")
        yield
        return
    over = threading.Event()
    held = threading.Thread(target=_hold, args=(argv, over, remark), name="awake", daemon=True)
    held.start()
    try:
        yield
    finally:
        over.set()
        held.join()


def command() -> tuple[str, ...] | None:
    """The program that holds sleep back for as long as it runs; None where there is none."""
    if sys.platform == "darwin":
        return ("caffeinate", "-d", "-i", "-s", "-w", str(os.getpid()))
    forever = ("sleep", "infinity")
    return next(((*argv, *forever) for argv in LINUX if proc.which(argv[0]) is not None), None)


def _hold(argv: tuple[str, ...], over: threading.Event, remark: Callable[[str], None]) -> None:
    try:
        ended = proc.run(proc.die_with_parent(argv), deadline=Deadline.after(LONGEST_S, over))
    except Cancelled:
        return
    except LabError as error:
        remark(f"sleep is not held back: {error.message}")
        return
    why = (ended.tail().splitlines() or ["it ended"])[0]
    remark(f"sleep is not held back: {argv[0]}: {why}")


@contextlib.contextmanager
def _windows() -> Iterator[None]:
    import ctypes

    keep = ctypes.windll.kernel32.SetThreadExecutionState  # type: ignore[attr-defined,unused-ignore]
    keep(ES_AWAKE)
    try:
        yield
    finally:
        keep(ES_CONTINUOUS)
