"""A laptop that slept between the check and the show is noticed."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from lab.stage.history import checked
from lab.system import asleep, boots


def test_nothing_happened(tmp_path: Path) -> None:
    assert checked.changed(tmp_path) == ""
    checked.note(tmp_path, "GO")
    assert checked.changed(tmp_path) == ""
    (tmp_path / checked.FILE).write_text("{")
    assert checked.changed(tmp_path) == ""


def test_a_closed_lid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked.note(tmp_path, "GO")
    slept_s = asleep.slept_s() + 600
    monkeypatch.setattr(asleep, "slept_s", lambda: slept_s)
    assert checked.changed(tmp_path) == "this laptop slept for 600 s since the last check"


def test_a_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(["first", "second"])
    monkeypatch.setattr(boots, "session", lambda: next(names))
    checked.note(tmp_path, "GO")
    assert "started again" in checked.changed(tmp_path)


def test_a_boot_of_a_host_that_gives_it_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boots, "session", lambda: "")
    checked.note(tmp_path, "GO")
    assert checked.changed(tmp_path) == ""
    before_s = asleep.passed_s()
    monkeypatch.setattr(asleep, "passed_s", lambda: before_s - 60)
    assert "started again" in checked.changed(tmp_path)


def test_a_clock_that_is_set_is_no_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the time servers do it where the network comes back: the time of the boot, which is reckoned back from the
    clock, moves with it."""
    checked.note(tmp_path, "GO")
    began_s, now_s = psutil.boot_time(), time.time()
    monkeypatch.setattr("psutil.boot_time", lambda: began_s + 6.0)
    monkeypatch.setattr("time.time", lambda: now_s + 6.0)
    assert checked.changed(tmp_path) == ""
