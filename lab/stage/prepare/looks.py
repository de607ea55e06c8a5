"""The looks of a check, all at once and for a limited time."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lab.model.errors import LabError
from lab.stage.prepare import beat_checks, host_checks
from lab.stage.prepare.machine_checks import MachineChecks
from lab.stage.prepare.points import About, Point
from lab.system import host_faults
from lab.system.wait import POLL_S, Deadline

LIMIT_S: Final = 26.0  # the whole command ends within 30 s
END_S: Final = 1.0  # for what was ended to end its programs
Look = Callable[[], Sequence[Point]]
Told = Sequence[Point] | BaseException


def at_once(looks: Mapping[str, Look], *, stop: threading.Event, end: threading.Event) -> dict[str, Sequence[Point]]:
    """What each look found. One that does not answer in time is a point that failed, and `end` ends it.

    Its thread is a daemon: a pool keeps the process until the last one came back. Raises Cancelled at `stop`.
    """
    told: queue.SimpleQueue[tuple[str, Told]] = queue.SimpleQueue()
    for name, look in looks.items():
        threading.Thread(target=_look, args=(name, look, told), name=f"check {name}", daemon=True).start()
    came: dict[str, Told] = {}
    try:
        _collect(told, came, len(looks), Deadline.after(LIMIT_S, stop))
        found = {name: _points(name, came.get(name)) for name in looks}
    finally:
        end.set()
    _collect(told, came, len(looks), Deadline.after(END_S, stop))
    return found


def _look(name: str, look: Look, told: queue.SimpleQueue[tuple[str, Told]]) -> None:
    try:
        told.put((name, look()))
    except BaseException as error:  # noqa: BLE001 - reported as a point
        told.put((name, error))


def _collect(told: queue.SimpleQueue[tuple[str, Told]], came: dict[str, Told], wanted: int, deadline: Deadline) -> None:
    while len(came) < wanted and not deadline.passed():
        deadline.sleep(0.0)  # raises Cancelled
        with contextlib.suppress(queue.Empty):
            name, one = told.get(timeout=min(POLL_S, deadline.left_s()))
            came[name] = one


def _points(name: str, told: Told | None) -> Sequence[Point]:
    about: About = "host" if name in host_checks.NEEDED else "note"
    about = {**MachineChecks.ABOUT, **beat_checks.ABOUT}.get(name, about)
    if told is None:
        text, fix = f"{name}: no answer within {LIMIT_S:.0f} s", "wait until this host is quiet, or lab restore"
        return [Point.failed(name, text, fix, about)]
    if isinstance(told, BaseException):
        error = told if isinstance(told, LabError) else host_faults.failure(told)
        if error is not None:
            return [Point.failed(name, error.message, error.fix, about)]
        text = f"this is a bug in lab: {type(told).__name__}: {told}"
        return [Point.failed(name, text, "report it", about)]
    return told
