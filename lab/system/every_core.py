"""Call a function for each of many values, on every core of this host."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

V = TypeVar("V")
R = TypeVar("R")


def every_core(function: Callable[[V], R], values: Sequence[V]) -> list[R]:
    """The results in the order of `values`. Function, values and results are pickled, so the function stands in a
    module. Raises what the function raises, for the first value. Where processes cannot be had, or one is killed, this
    process calls it."""
    workers = min(os.cpu_count() or 1, len(values))
    if workers < 2:
        return [function(value) for value in values]
    with contextlib.suppress(OSError, BrokenProcessPool):
        # a fork of a process with threads may hang, so each one starts anew, as on every system
        fresh = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, mp_context=fresh, initializer=_end_with_parent)
        try:
            return list(pool.map(function, values))
        finally:
            pool.shutdown(cancel_futures=True)
    return [function(value) for value in values]


def _end_with_parent() -> None:
    """Ctrl-C is the parent's to answer, and a parent that was killed leaves no process behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
