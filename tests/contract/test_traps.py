"""The cost of a uprobe trap, on the real kernel."""

from __future__ import annotations

import sys

import pytest

from lab.system import traps

pytestmark = pytest.mark.contract


@pytest.mark.skipif(sys.platform != "linux", reason="uprobes are Linux's")
def test_a_trap_takes_longer_than_a_call_and_less_than_a_millisecond() -> None:
    assert traps.UPROBE.exists(), "this kernel has no uprobes"
    found = traps.trap_ns()
    assert found is not None
    assert 50 < found < 1_000_000


def test_without_uprobes_there_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traps, "PERF_EVENT_OPEN", {})
    assert traps.trap_ns() is None
