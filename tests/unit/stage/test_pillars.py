"""A pillar of the show rests on a measured run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lab.model.errors import UsageError
from lab.stage.beat.expect import VerdictWord
from lab.stage.kinds.pillar import PillarBeat, newest
from lab.stage.stream import events
from tests.unit.report import synthetic
from tests.unit.stage.one_beat import play
from tests.unit.stage.scripted import a_lab, a_show


def test_a_pillar_of_a_run_that_is_named(tmp_path: Path) -> None:
    root = a_lab(tmp_path).paths.runs / "20260101-000000-http-aaaa"
    root.parent.mkdir(parents=True)
    synthetic.write(root)
    played = play(tmp_path, PillarBeat(pillar="performance", run=root.name))
    cells = played.of(events.Pillar)[0].cells
    assert cells
    assert all(f"{root.name}, 1 block," in cell.evidence for cell in cells), "not the fewest that a word needs"
    assert VerdictWord(verdict=cells[0].words.split(";")[0].lower(), form=cells[0].form).missed(played.scene.seen) == ""
    assert "no cell says 'cheap as air'" in VerdictWord(verdict="cheap as air").missed(played.scene.seen)


def test_a_pillar_without_a_run_of_all_forms(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run of scenario http with the forms baseline,ebpf"):
        play(tmp_path, PillarBeat(pillar="safety"))


def test_a_counted_show_has_no_pillar_of_a_timed_run(tmp_path: Path) -> None:
    asked, paths = a_show(tmp_path).asked, a_lab(tmp_path).paths
    asked = dataclasses.replace(asked, scenario=dataclasses.replace(asked.scenario, name="shop"))
    root = paths.runs / "20260101-000000-http-aaaa"
    root.parent.mkdir(parents=True)
    synthetic.write(root)
    assert newest(paths, asked, "real") == root
    with pytest.raises(UsageError, match="on a counted clock"):
        newest(paths, asked, "counted")
