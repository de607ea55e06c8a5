"""Run independent pieces of work side by side; all end before this returns, all failures are reported."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from lab.model.errors import Cancelled


def run_parallel(cancel: threading.Event, *works: Callable[[], Any]) -> tuple[Any, ...]:
    """Results in order. The first failure asks the others to stop; several failures travel as an ExceptionGroup."""
    results: list[Any] = [None] * len(works)
    errors: list[BaseException] = []
    own_stop = threading.Event()

    def guard(index: int, work: Callable[[], Any]) -> None:
        try:
            results[index] = work()
        except BaseException as error:  # noqa: BLE001 - handed to the caller below
            errors.append(error)
            if not cancel.is_set():
                own_stop.set()
                cancel.set()

    threads = [threading.Thread(target=guard, args=(i, w), daemon=True) for i, w in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)  # short, so that the main thread sees signals
    if own_stop.is_set():
        cancel.clear()
        # those that stopped only because another failed have nothing to tell
        errors = [e for e in errors if not isinstance(e, Cancelled)] or errors
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup("several things failed", errors)
    return tuple(results)
