"""Run two independent functions in parallel; both end before this returns, all failures are reported."""

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
    """Both results. The first failure cancels the other; two failures are raised as an ExceptionGroup."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        one, other = pool.submit(first), pool.submit(second)
        stopped = _watch(cancel, {one, other})
    errors = [error for future in (one, other) if (error := future.exception()) is not None]
    if stopped:
        cancel.clear()
        # Cancelled is no error of its own here: it only follows from the other failure
        errors = [error for error in errors if not isinstance(error, Cancelled)] or errors
    raise_all(errors, "several things failed")
    return one.result(), other.result()


def _watch(cancel: threading.Event, running: set[Future[Any]]) -> bool:
    """Wait until all have ended; returns whether a failure, not the caller, set `cancel`."""
    stopped = False
    while running:
        ended, running = wait(running, LOOK_S)
        if any(future.exception() for future in ended) and not cancel.is_set():
            stopped = True
            cancel.set()
    return stopped
