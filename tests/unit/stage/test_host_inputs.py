"""What this host knows of a show is compared also where no machine is asked: the file, its scenario, the seed, lab."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lab.flows import request
from lab.model.lab import Lab
from lab.stage.history import inputs, ledger, takes
from lab.stage.history.inputs import Inputs
from lab.stage.history.ledger import BeatResult, Figure, Rehearsal
from lab.stage.play import opening
from lab.stage.play.stand import Side
from lab.stage.prepare.check import check
from lab.stage.show import show_file
from lab.stage.show.show import Show
from lab.stage.stream.events import Value
from tests.unit.stage.scripted import a_lab, a_take

HOST = "{id: one, kind: command, title: One, argv: ['true']}"
LOAD = "{id: one, kind: load, title: One}"


def a_show(folder: Path, beat: str) -> Show:
    """With a scenario beside its file."""
    scenario = folder / "own.yaml"
    if not scenario.exists():
        scenario.write_text((request.scenarios_dir() / "http.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    path = folder / "s.yaml"
    path.write_text(f"schema: 1\ntitle: T\nscenario: own.yaml\nforms: [baseline, ebpf]\nbeats: [{beat}]\n")
    return show_file.load(path)


def a_home(folder: Path) -> Lab:
    lab = a_lab(folder)
    lab.paths.home.mkdir(exist_ok=True)
    return lab


def on_machine(show: Show) -> Inputs:
    """Of a rehearsal of this show in some machine."""
    machine = {"kernel": "6.1", "clock": "counted"}
    return inputs.of_host(show).on(Inputs(show="", seed=0, machine=machine, forms={"ebpf": "aa"}))


def recorded(lab: Lab, show: Show, on: Inputs) -> None:
    """A take of its only beat."""
    take = dataclasses.replace(a_take("one"), show=show.name, inputs=on)
    takes.save(takes.folder(lab.paths, lab.config.machine.name, show.name), take)


def side(lab: Lab, show: Show) -> Side:
    return opening.side(lab, lab.config.machine.name, show, show.beats, [])


def warned(lab: Lab, show: Show) -> list[str]:
    return [point.text for point in check(lab, show).points if point.name == "takes"]


@pytest.mark.parametrize("beat", [HOST, LOAD])
@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"show": "0" * 64}, "show file"),
        ({"scenario": "0" * 64}, "scenario file"),
        ({"service": "0" * 64}, "service description"),
        ({"seed": 99}, "seed"),
        ({"lab": "0.0"}, "lab"),
    ],
)
def test_a_take_of_other_inputs_is_refused_without_a_machine(
    tmp_path: Path, beat: str, other: dict[str, Any], told: str
) -> None:
    lab, show = a_home(tmp_path), a_show(tmp_path, beat)
    recorded(lab, show, dataclasses.replace(on_machine(show), **other))
    why = side(lab, show).take_of(show.beats[0])
    assert isinstance(why, str)
    assert why.startswith(f"its take of 2026-02-01 is of other inputs: {told}: ")
    assert warned(lab, show) == [f"One: {why}"]


def test_without_its_take_a_load_on_no_machine_is_a_no_go(tmp_path: Path) -> None:
    lab, show = a_home(tmp_path), a_show(tmp_path, LOAD)
    recorded(lab, show, on_machine(show))
    assert check(lab, show).line() == "GO WITH FALLBACK: One (recorded)"
    assert check(lab, a_show(tmp_path, LOAD.replace("One", "Two"))).word == "NO-GO"


@pytest.mark.parametrize("beat", [HOST, LOAD])
def test_what_only_a_machine_knows_is_not_compared_without_one(tmp_path: Path, beat: str) -> None:
    lab, show = a_home(tmp_path), a_show(tmp_path, beat)
    recorded(lab, show, on_machine(show))
    assert not isinstance(side(lab, show).take_of(show.beats[0]), str)
    assert warned(lab, show) == []


def test_an_edited_scenario_is_another_input_of_a_show_without_a_machine(tmp_path: Path) -> None:
    lab, show = a_home(tmp_path), a_show(tmp_path, HOST)
    recorded(lab, show, on_machine(show))
    with (tmp_path / "own.yaml").open("a", encoding="utf-8") as file:
        file.write("# another\n")
    why = side(lab, a_show(tmp_path, HOST)).take_of(show.beats[0])
    assert isinstance(why, str)
    assert "scenario file: " in why


def test_an_edited_script_beside_the_show_is_another_input(tmp_path: Path) -> None:
    """Of an interpreter's arguments the script, not what the script writes."""
    lab, beat = a_home(tmp_path), HOST.replace("'true'", "sh, ./hello.sh, out.txt")
    (tmp_path / "hello.sh").write_text("echo hello > $1\n")
    (tmp_path / "out.txt").write_text("hello\n")
    show = a_show(tmp_path, beat)
    recorded(lab, show, on_machine(show))
    (tmp_path / "out.txt").write_text("hello again\n")
    assert warned(lab, show) == []
    (tmp_path / "hello.sh").write_text("echo bye > $1\n")
    why = side(lab, show).take_of(show.beats[0])
    assert isinstance(why, str)
    assert why.startswith("its take of 2026-02-01 is of other inputs: script hello.sh: ")
    assert warned(lab, show) == [f"One: {why}"]
    (tmp_path / "hello.sh").unlink()
    assert "script hello.sh: " in str(side(lab, show).take_of(show.beats[0]))


@pytest.mark.parametrize(
    "argv",
    [
        "curl, -o, out.html, x",
        "sqlite3, shop.db, x",
        "out.html",
        "'true', missing.txt",
        "sh, missing.sh",
        f"sh, {'x' * 5000}",
        "sh, .",
        "sh, /etc/hostname",
    ],
)
def test_words_that_name_no_file_beside_the_show_are_no_inputs(tmp_path: Path, argv: str) -> None:
    for name in ("out.html", "shop.db"):  # what a program writes, and what is on PATH or nowhere
        (tmp_path / name).write_text("x")
    assert inputs.of_host(a_show(tmp_path, HOST.replace("'true'", argv))).beside == {}


@pytest.mark.parametrize(
    ("argv", "script"),
    [
        ("./hello.sh", "hello.sh"),
        ("tools/hello.sh", "tools/hello.sh"),
        ("../hello.sh", "../hello.sh"),
        ("bash, -e, hello.sh", "hello.sh"),
        ("python3.12, -u, ./hello.sh, other", "hello.sh"),
    ],
)
def test_the_script_that_a_command_runs_is_an_input(tmp_path: Path, argv: str, script: str) -> None:
    folder = tmp_path / "show"
    (folder / "tools").mkdir(parents=True)
    for name in ("hello.sh", "tools/hello.sh", "../hello.sh", "other"):
        (folder / name).write_text("echo hello\n")
    assert list(inputs.of_host(a_show(folder, HOST.replace("'true'", argv))).beside) == [script]


def rehearsed(lab: Lab, show: Show) -> None:
    """Five clean rehearsals that took about a second."""
    for number in range(5):
        took_s = 1.0 + number / 100
        done = Rehearsal(
            id=str(number),
            date="",
            inputs=on_machine(show),
            beats=(BeatResult(beat="one", outcome="passed", seconds=took_s),),
            figures=(Figure(beat="one", name="command_s", unit="s", value=took_s),),
            seconds=took_s,
            network_cut=number == 4,
        )
        ledger.add(takes.folder(lab.paths, lab.config.machine.name, show.name), done)


def judged(lab: Lab, show: Show, value: float) -> str:
    measured = Value(at_ms=0.0, name="command_s", title="time", value=value, unit="s")
    event = side(lab, show).critic.judged("one", measured, {})
    assert isinstance(event, Value)
    return event.judged


def test_a_show_without_a_machine_has_the_intervals_of_its_rehearsals(tmp_path: Path) -> None:
    lab, show = a_home(tmp_path), a_show(tmp_path, HOST)
    rehearsed(lab, show)
    assert judged(lab, show, 1.02) == "on"
    assert judged(lab, show, 60.0) == "off"
    edited = a_show(tmp_path, HOST.replace("One", "Two"))
    assert judged(lab, edited, 60.0) == "no baseline"


def test_beats_of_a_machine_that_cannot_be_asked_have_no_baseline(tmp_path: Path) -> None:
    lab, show = a_home(tmp_path), a_show(tmp_path, f"{HOST}, {LOAD.replace('one', 'two')}")
    rehearsed(lab, show)
    assert judged(lab, show, 1.02) == "no baseline"
