"""How long this host has slept."""

from __future__ import annotations

import time

import pytest

from lab.system import asleep


def test_who_does_not_sleep_and_whose_clock_is_set_has_not_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    before = asleep.slept_s(), asleep.passed_s()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    time.sleep(0.3)
    assert asleep.slept_s() - before[0] == pytest.approx(0.0, abs=0.05)
    assert asleep.passed_s() - before[1] == pytest.approx(0.3, abs=0.25)
