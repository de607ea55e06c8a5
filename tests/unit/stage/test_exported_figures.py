"""Figures as files: what the user has made of one stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.flows import report
from lab.model.errors import PreconditionError
from lab.report import pictures
from lab.stage.replay import Format, export
from lab.system import proc
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


def test_a_browser_that_draws_into_a_folder_of_its_own_is_no_bug_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a packaged one does, which has its own folder for temporary files: it ends well, and no picture is there."""
    monkeypatch.setattr(proc, "check", lambda *_, **__: None)
    with pytest.raises(PreconditionError, match="drew nothing"):
        export._drawn("browser", '<svg width="10" height="10" viewBox="0 0 10 10"/>', a_lab(tmp_path))
