"""What beats need that no machine gives: a measured run for a pillar, the Go that builds for a build."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.flows import demo
from lab.machines import lifecycle
from lab.model.lab import Lab
from lab.model.machine import Machine, MachineSpec
from lab.stage.history import profile
from lab.stage.history.inputs import Inputs
from lab.stage.history.profile import Profile
from lab.stage.prepare import beat_checks, rehearsing
from lab.stage.prepare.check import GoVerdict, check
from lab.stage.prepare.points import Point
from lab.stage.show import show_file
from lab.stage.show.show import Show
from lab.system.toolchain import Toolchain
from tests.unit.report import synthetic
from tests.unit.stage.scripted import a_lab

SLIDE = "{id: slide, kind: slide, title: Slide, markdown: x}"
FIRST = "{id: first, kind: pillar, title: First, pillar: safety}"
OWN = "{id: own, kind: pillar, title: Own, pillar: stability, run: 2026}"
LATE = "{id: late, kind: pillar, title: Late, pillar: stability, cut: 8}"
BUILD = "{id: build, kind: build, title: Build, form: orchestrion-otel}"


def a_show(folder: Path, *beats: str, forms: str = "baseline, ebpf") -> Show:
    path = folder / "s.yaml"
    path.write_text(
        f"schema: 1\ntitle: T\nscenario: shop\nforms: [{forms}]\ncuts_min: [5]\nbeats: [{', '.join(beats)}]\n"
    )
    return show_file.load(path)


def a_home(folder: Path, *runs: str) -> Lab:
    lab = a_lab(folder)
    lab = replace(lab, config=replace(lab.config, machine=replace(lab.config.machine, name="talk")))
    lab.paths.home.mkdir()
    for name in runs:
        lab.paths.runs.mkdir(parents=True, exist_ok=True)
        synthetic.write(lab.paths.runs / name)
    return lab


def of(verdict: GoVerdict, name: str) -> list[Point]:
    return [point for point in verdict.points if point.name == name]


def test_pillars_without_a_run_cannot_play_though_no_machine_is_asked(tmp_path: Path) -> None:
    lab, show = a_home(tmp_path), a_show(tmp_path, SLIDE, FIRST)
    found = check(lab, show)
    assert found.word == "NO-GO"
    assert found.why.startswith("First: there is no run of scenario shop with the forms baseline,ebpf")


def test_a_pillar_rests_on_its_own_run(tmp_path: Path) -> None:
    lab = a_home(tmp_path, "20260101-000000-http-aaaa")
    only_own = check(lab, a_show(tmp_path, OWN, forms="baseline, orchestrion-dd"))
    assert only_own.word == "GO", "the newest run lacks a form, and nobody shows it"
    assert [point.text for point in of(only_own, "runs")] == ["run 20260101-000000-http-aaaa is shown by Own"]
    lost = check(lab, a_show(tmp_path, FIRST, OWN.replace("2026", "1999")))
    assert (lost.word, lost.why) == ("NO-GO", "Own: no run '1999'")


def test_a_run_that_cannot_be_read_is_no_run_to_show(tmp_path: Path) -> None:
    name = "20260101-000000-http-aaaa"
    lab = a_home(tmp_path, name)
    rows = next((lab.paths.runs / name).rglob("*.gz"))
    rows.write_bytes(rows.read_bytes()[:-7])
    found = check(lab, a_show(tmp_path, OWN, forms="baseline, orchestrion-dd"))
    assert found.word == "NO-GO"
    assert found.why.startswith(f"Own: {name}: changed since it was sealed: guest/")
    assert found.fix.startswith("restore an unchanged copy of the folder")


def test_a_run_that_one_pillar_lacks_is_no_matter_for_the_others(tmp_path: Path) -> None:
    show = a_show(tmp_path, FIRST, OWN)
    lost = Point.failed("runs", "Own: no run '1999'", "lab runs", "pillar", beats=("own",))
    assert [beat.id for beat in show.beats if lost.strikes(beat)] == ["own"]


def test_a_pillar_that_is_cut_needs_no_run(tmp_path: Path) -> None:
    lab, show = a_home(tmp_path), a_show(tmp_path, SLIDE, LATE)
    assert check(lab, show, minutes=5).word == "GO"
    assert check(lab, show).word == "NO-GO"


def test_runs_are_looked_at_once_where_the_machine_is_asked_too(tmp_path: Path) -> None:
    lab = a_home(tmp_path, "20260101-000000-http-aaaa")
    show = a_show(tmp_path, FIRST, "{id: ask, kind: request, title: Ask}")
    assert [point.verdict for point in of(check(lab, show), "runs")] == ["ok"]


def test_a_build_needs_its_go_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab, show = a_home(tmp_path), a_show(tmp_path, BUILD, forms="baseline, orchestrion-otel")
    here: list[Any] = [None, Toolchain(version="go1", root=tmp_path, source="module")]
    monkeypatch.setattr(beat_checks, "at_hand", lambda *_: here.pop(0))
    none = check(lab, show)
    assert none.word == "NO-GO"
    assert "is not on this host: the build would fetch it" in none.why
    assert check(lab, show).word == "GO"


def test_a_go_that_is_missing_strikes_the_builds_that_need_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = BUILD.replace("orchestrion-otel", "orchestrion-dd").replace("id: ", "id: other-")
    show = a_show(tmp_path, BUILD, other, forms="baseline, orchestrion-otel, orchestrion-dd")
    forms = [
        replace(form, build=replace(form.build, toolchain="go9")) if form.build and form.name.endswith("dd") else form
        for form in show.asked.forms
    ]
    show = replace(show, asked=replace(show.asked, forms=tuple(forms)))
    here = Toolchain(version="go1", root=tmp_path, source="module")
    monkeypatch.setattr(beat_checks, "at_hand", lambda _, version, __: None if version == "go9" else here)
    checks = beat_checks.BeatChecks(lab=a_home(tmp_path), machine="m", show=show, beats=show.beats, again="again")
    points = checks.looks()["build"]()
    assert [point.verdict for point in points] == ["ok", "fail"]
    assert [beat.id for beat in show.beats if points[1].strikes(beat)] == [show.beats[1].id]


@pytest.mark.parametrize(("beats", "measured"), [((OWN,), 0), ((FIRST, OWN), 1)])
def test_a_rehearsal_measures_no_run_that_nobody_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beats: tuple[str, ...], measured: int
) -> None:
    lab, show = a_home(tmp_path), a_show(tmp_path, *beats, forms="baseline, ebpf")
    runs: list[Any] = []
    monkeypatch.setattr(lifecycle, "up", lambda *_, **__: Machine(spec=MachineSpec(name="m", provider="local")))
    monkeypatch.setattr(profile, "of", lambda *_: Profile(inputs=Inputs(show="", seed=1)))
    monkeypatch.setattr(demo, "demo", lambda *_: runs.append(1))
    rehearsing.prepare(lab, show)
    assert len(runs) == measured
