"""Run two independent pieces of work side by side; both end before this returns, all failures are reported."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from lab.model.errors import Cancelled, raise_all

A = TypeVar("A")
B = TypeVar("B")
LOOK_S = 0.2  # short, so that the main thread sees signals


def run_parallel(cancel: threading.Event, first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """Both results. The first failure asks the other to stop; two failures travel as an ExceptionGroup."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        one, other = pool.submit(first), pool.submit(second)
        stopped = _watch(cancel, {one, other})
    errors = [error for future in (one, other) if (error := future.exception()) is not None]
    if stopped:
        cancel.clear()
        # the one that stopped only because the other failed has nothing to tell
        errors = [error for error in errors if not isinstance(error, Cancelled)] or errors
    raise_all(errors, "several things failed")
    return one.result(), other.result()


def _watch(cancel: threading.Event, running: set[Future[Any]]) -> bool:
    """Until all have ended; whether a failure, and nobody else, set `cancel`."""
    stopped = False
    while running:
        ended, running = wait(running, LOOK_S)
        if any(future.exception() for future in ended) and not cancel.is_set():
            stopped = True
            cancel.set()
    return stopped
