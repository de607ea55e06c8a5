"""A laptop that slept between the check and the show is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.stage.history import checked
from lab.system import asleep


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
    checked.note(tmp_path, "GO")
    monkeypatch.setattr("psutil.boot_time", lambda: 12345.0)
    assert "started again" in checked.changed(tmp_path)
