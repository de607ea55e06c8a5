"""The one word before a show, and what it rests on."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lab.model.errors import Locked, UsageError
from lab.model.lab import Lab
from lab.stage.history import inputs, ledger, takes
from lab.stage.history.inputs import Inputs
from lab.stage.history.ledger import BeatResult, Rehearsal
from lab.stage.play.opening import ShowRequest, beats_of, opened
from lab.stage.prepare import host_checks
from lab.stage.prepare.check import check, judge
from lab.stage.prepare.points import Point
from lab.stage.show import show_file
from lab.stage.show.show import Show
from tests.unit.stage.scripted import a_lab

SHOW = """
schema: 1
title: T
forms: [baseline, orchestrion-otel, ebpf]
beats:
  - {id: slide, kind: slide, title: Slide, markdown: x}
  - {id: ask, kind: request, title: Ask}
  - {id: inside, kind: command, title: Inside, on: machine, argv: [x]}
  - {id: build, kind: build, title: Build, form: orchestrion-otel}
"""
BROKEN = Point.failed("forms", "ebpf: no span", "press p", "machine")


@pytest.fixture
def show(tmp_path: Path) -> Show:
    (tmp_path / "s.yaml").write_text(SHOW)
    return show_file.load(tmp_path / "s.yaml")


def test_all_well_is_go(show: Show) -> None:
    points = [Point.good("power", "on mains"), Point.warned("load", "busy", "wait")]
    assert judge(points, show.beats, {}).line() == "GO"


def test_a_beat_that_cannot_be_live_has_its_take(show: Show) -> None:
    found = judge([BROKEN], show.beats, {"ask": "", "inside": ""})
    assert found.line() == "GO WITH FALLBACK: Ask, Inside (recorded)"


def test_without_its_take_it_is_a_no_go_with_the_fix(show: Show) -> None:
    found = judge([BROKEN], show.beats, {"ask": "", "inside": "its take is of other inputs"})
    assert found.line() == "NO-GO: ebpf: no span; fix: press p"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("kind: command, on: machine, argv: [x], else: skip", "Kernel (skipped)"),
        ("kind: command, on: machine, argv: [x], else: stop", "Kernel (not shown)"),
        ("kind: shell, on: machine", "Kernel (not shown)"),
    ],
)
@pytest.mark.parametrize("take", ["", "there is no take of it"])
def test_a_beat_without_a_fallback_is_told_as_the_show_plays_it(
    tmp_path: Path, keys: str, told: str, take: str
) -> None:
    (tmp_path / "s.yaml").write_text(f"{SHOW}  - {{id: kernel, title: Kernel, {keys}}}\n")
    beats = show_file.load(tmp_path / "s.yaml").beats
    found = judge([BROKEN], beats, {"ask": "", "inside": "", "kernel": take})
    assert found.line() == f"GO WITH FALLBACK: Ask, Inside (recorded); {told}"
    assert judge([BROKEN], beats[-1:], {"kernel": take}).line() == f"GO WITH FALLBACK: {told}"


def test_a_laptop_that_cannot_is_a_no_go_whatever_the_takes(show: Show) -> None:
    full = Point.failed("disk", "0.0 GiB free", "lab cache prune", "host")
    assert judge([full], show.beats, {"ask": "", "inside": ""}).word == "NO-GO"


def test_a_note_never_stops_a_show(show: Show) -> None:
    assert judge([Point.failed("browser", "none", "x", "note")], show.beats, {}).word == "GO"


def test_without_a_machine_the_whole_check_says_what_to_do(tmp_path: Path, show: Show) -> None:
    lab = a_lab(tmp_path)
    lab.paths.home.mkdir()
    found = check(lab, show)
    assert found.word == "NO-GO"
    assert "lab rehearse" in found.fix
    names = {point.name for point in found.points}
    assert {"power", "disk", "load", "sleep", "notifications", "browser", "display"} <= names
    assert "port" not in names, "any free port will do, and there is one"


def test_slides_alone_need_no_machine(tmp_path: Path, show: Show) -> None:
    (tmp_path / "slides.yaml").write_text(SHOW.partition("  - {id: ask")[0])
    lab = a_lab(tmp_path)
    lab.paths.home.mkdir()
    assert check(lab, show_file.load(tmp_path / "slides.yaml")).word == "GO"


def rehearsed(lab: Lab, show: Show) -> None:
    """Five clean rehearsals of this file."""
    known = inputs.of_host(show).on(Inputs(show="", seed=0, machine={"kernel": "6.1"}))
    for number in range(5):
        beats = tuple(BeatResult(beat=beat.id, outcome="passed", seconds=1.0) for beat in show.beats)
        cut = number == 4
        done = Rehearsal(id=str(number), date="", inputs=known, beats=beats, seconds=2.0, network_cut=cut)
        ledger.add(takes.folder(lab.paths, lab.config.machine.name, show.name), done)


def told(lab: Lab, show: Show) -> list[tuple[str, str]]:
    return [(point.verdict, point.text) for point in check(lab, show).points if point.name == "rehearsals"]


def test_slides_that_were_never_rehearsed_are_not_stage_ready(tmp_path: Path) -> None:
    path = tmp_path / "slides.yaml"
    path.write_text(SHOW.partition("  - {id: ask")[0])
    lab, show = a_lab(tmp_path), show_file.load(path)
    lab.paths.home.mkdir()
    never = [("warn", "5 more clean rehearsals in a row"), ("warn", "no clean rehearsal with the network cut")]
    assert told(lab, show) == never
    rehearsed(lab, show)
    assert told(lab, show) == [("ok", "stage-ready")]
    path.write_text(path.read_text().replace("markdown: x", "markdown: y"))
    changed = told(lab, show_file.load(path))
    assert "show file: " in changed[0][1]
    assert changed[1:] == never


def test_rehearsals_are_not_compared_with_a_machine_that_cannot_be_asked(tmp_path: Path, show: Show) -> None:
    lab = a_lab(tmp_path)
    lab.paths.home.mkdir()
    rehearsed(lab, show)
    ((verdict, text),) = told(lab, show)
    assert verdict == "warn"
    assert text.startswith("not compared with what is shown: machine")


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    import socket

    (tmp_path / "slides.yaml").write_text(SHOW.partition("  - {id: ask")[0])
    lab = a_lab(tmp_path)
    lab.paths.home.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = check(lab, show_file.load(tmp_path / "slides.yaml"), port=server.getsockname()[1])
    assert (found.word, found.fix) == ("NO-GO", "give another one, or none: --port 0")


@pytest.mark.parametrize(
    ("said", "mirrored"),
    [
        ("eDP-1 connected primary 1920x1080+0+0 x\nHDMI-1 connected 1920x1080+0+0 x\n", True),
        ("eDP-1 connected primary 1920x1080+0+0 x\nHDMI-1 connected 1280x720+1920+0 x\n", False),
        ("", None),
    ],
)
def test_displays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, mirrored: bool | None) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", ":0")
    program = tmp_path / "xrandr"
    program.write_text(f"#!/bin/sh\nprintf '%s' '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert host_checks.mirrored() is mirrored


def test_a_second_show_on_the_same_machine_is_refused(tmp_path: Path, show: Show) -> None:
    lab = a_lab(tmp_path)
    with (
        opened(lab, show, ShowRequest()),
        pytest.raises(Locked, match="the stage of machine"),
        opened(lab, show, ShowRequest()),
    ):
        pass


def test_the_second_machine_is_looked_at_and_only_warns(tmp_path: Path) -> None:
    lab = a_lab(tmp_path)
    lab.paths.home.mkdir()
    found = check(lab, show_file.load(show_file.find("four-pillars")), standby="spare")
    points = {point.name: point for point in found.points}
    assert points["machine"].verdict == "fail"
    assert points["spare: machine"].verdict == "warn"
    assert points["spare: machine"].text == "machine spare is absent"
    assert points["spare: machine"].fix == "lab rehearse --name spare"


def test_a_second_machine_that_is_the_first_one(tmp_path: Path, show: Show) -> None:
    lab = a_lab(tmp_path)
    lab = replace(lab, config=replace(lab.config, machine=replace(lab.config.machine, name="talk")))
    asked = ShowRequest(standby="talk")
    with pytest.raises(UsageError, match="--standby talk is the show's own machine"):
        check(lab, show, standby="talk")
    with pytest.raises(UsageError, match="--standby talk is the show's own machine"), opened(lab, show, asked):
        pass


def test_a_slot_that_the_show_does_not_have(show: Show) -> None:
    with pytest.raises(UsageError, match="--minutes 7 is no slot"):
        beats_of(show, 7.0)


def test_each_fix_is_about_this_show_on_this_machine_in_this_slot(tmp_path: Path) -> None:
    """`lab rehearse` alone would rehearse the show that ships."""
    path = tmp_path / "my talk.yaml"
    path.write_text(
        SHOW.replace("title: T", "title: T\ncuts_min: [5]") + "  - {id: p, kind: pillar, title: P, pillar: safety}\n"
    )
    lab = a_lab(tmp_path)
    lab = replace(lab, config=replace(lab.config, machine=replace(lab.config.machine, name="talk")))
    lab.paths.home.mkdir()
    found = check(lab, show_file.load(path), minutes=5, standby="spare")
    fixes = {point.name: point.fix for point in found.points if "lab rehearse" in point.fix}
    assert {"machine", "inputs", "takes", "runs", "spare: machine", "spare: inputs", "spare: takes"} <= fixes.keys()
    for name, fix in fixes.items():
        machine = "spare" if name.startswith("spare") else "talk"
        here = f"lab rehearse '{path}' --name {machine}"
        assert fix.partition(", or ")[0] in (here, f"{here} --minutes 5"), name
    assert fixes["machine"].endswith(" --minutes 5")
    assert found.fix.startswith(f"lab rehearse '{path}' --name talk")
