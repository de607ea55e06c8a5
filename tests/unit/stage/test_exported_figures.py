"""Figures as files: what the user has made of one stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.flows import report
from lab.report import pictures
from lab.stage.replay import Format, export
from tests.unit.stage.scripted import a_lab


@pytest.mark.parametrize("form", ["svg", "png"])
def test_a_figure_that_was_edited_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Format
) -> None:
    monkeypatch.setattr(report, "find", lambda *_: tmp_path / "run-1")
    monkeypatch.setattr(report, "summary", lambda _: None)
    monkeypatch.setattr(pictures, "pictures", lambda _: {"cost": "<svg/>"})
    monkeypatch.setattr(export, "_browser", lambda: "browser")
    monkeypatch.setattr(export, "_drawn", lambda *_: b"drawn")

    def written() -> list[str]:
        return [path.name for path in export.write(a_lab(tmp_path), None, form, tmp_path / "out")]

    assert written() == written() == [f"run-1-cost.{form}"]
    edited = tmp_path / "out" / f"run-1-cost.{form}"
    edited.write_text("edited")
    assert written() == [f"run-1-cost-2.{form}"]
    assert edited.read_text() == "edited"
