"""Time by which something is called missing."""

from __future__ import annotations

import time

import pytest

from lab.guest.linux.waiting import LOOK_S, CalmClock


def test_a_machine_that_stood_still_has_not_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 100.1, 160.1, 160.6, 160.7])  # a laptop that slept for a minute between two looks
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    clock = CalmClock()
    seen = [clock() for _ in range(4)]
    assert seen == pytest.approx([100.1, 100.1 + LOOK_S, 100.6 + LOOK_S, 100.7 + LOOK_S])
