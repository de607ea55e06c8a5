"""Side by side: results in order, one failure stops the rest, several are all told."""

from __future__ import annotations

import threading

import pytest

from lab.flows.run_parallel import run_parallel
from lab.model.errors import Cancelled, PreconditionError, ProvisioningError
from lab.system.wait import Deadline


def test_results_in_order() -> None:
    assert run_parallel(threading.Event(), lambda: 1, lambda: "b") == (1, "b")


def test_the_first_failure_stops_the_other_and_is_the_only_one_told() -> None:
    cancel = threading.Event()

    def fails() -> None:
        raise PreconditionError("no disk", fix="free some")

    with pytest.raises(PreconditionError, match="no disk"):
        run_parallel(cancel, fails, lambda: Deadline.after(60, cancel).sleep(60))
    assert not cancel.is_set()


def test_two_failures_travel_together() -> None:
    barrier = threading.Barrier(2)

    def fail(error: Exception) -> None:
        barrier.wait()
        raise error

    with pytest.raises(BaseExceptionGroup) as group:
        run_parallel(
            threading.Event(),
            lambda: fail(PreconditionError("a", fix="x")),
            lambda: fail(ProvisioningError("b", fix="y")),
        )
    assert {str(error) for error in group.value.exceptions} == {"a", "b"}


def test_a_stop_from_outside_stays_a_stop() -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises((Cancelled, BaseExceptionGroup)):
        run_parallel(cancel, lambda: Deadline.after(60, cancel).sleep(60), lambda: Deadline.after(60, cancel).sleep(60))
    assert cancel.is_set()
