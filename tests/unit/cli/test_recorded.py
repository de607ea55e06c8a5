"""`lab replay` and `lab export` through the command line: which recording is meant, and which files are written."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from lab.model.paths import Paths
from lab.stage.history import takes
from lab.stage.history.inputs import Inputs
from lab.stage.history.takes import Take
from lab.stage.stream.events import Line
from lab.stage.stream.records import StageRecord
from tests.unit.cli.conftest import Cli

SAID = "printed on {}"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def keep(home: Path, machine: str, show: str = "four-pillars", beat: str = "duet") -> None:
    """A take as a rehearsal on that machine leaves it."""
    record = StageRecord(seq=1, at_s=0.0, event=Line(at_ms=0.0, text=SAID.format(machine)))
    take = Take(
        show=show,
        beat=beat,
        machine=machine,
        recorded="2026-02-01T10:00:00Z",
        inputs=Inputs(show="", seed=1),
        seconds=0.1,
        records=(record,),
    )
    takes.save(takes.folder(Paths(home=home), machine, show), take)


@pytest.mark.parametrize("machine", ["lab", "lab-local", "mine"])
def test_takes_are_found_without_the_name_of_their_machine(lab_cli: Cli, machine: str) -> None:
    keep(lab_cli.home, machine)
    exported = lab_cli("export", "four-pillars", "--format", "cast", "-o", "out", "--json")
    assert exported.code == 0, exported.stderr
    (path,) = json.loads(exported.stdout)["files"]
    assert SAID.format(machine) in Path(path).read_text()
    replayed = lab_cli("replay", "four-pillars/duet", "--alone", "--plain", "--no-browser")
    assert replayed.code == 0, replayed.stderr
    assert SAID.format(machine) in replayed.stdout


def test_of_several_machines_the_default_one_is_meant(lab_cli: Cli) -> None:
    for machine in ("another", "lab"):
        keep(lab_cli.home, machine)
    assert SAID.format("lab") in lab_cli("replay", "four-pillars", "--alone", "--plain", "--no-browser").stdout
    named = lab_cli("replay", "four-pillars", "--name", "another", "--alone", "--plain", "--no-browser")
    assert SAID.format("another") in named.stdout


def test_takes_that_could_be_of_two_machines_ask_for_the_name(lab_cli: Cli) -> None:
    for machine in ("one", "two"):
        keep(lab_cli.home, machine)
    asked = lab_cli("export", "four-pillars")
    assert asked.code == 2
    assert "several machines have takes of four-pillars: one, two" in asked.stderr
    assert "--name one" in asked.stderr
    elsewhere = lab_cli("export", "four-pillars", "--name", "three")
    assert elsewhere.code == 2
    assert "machine three has no take of four-pillars" in elsewhere.stderr


def test_a_show_that_was_not_rehearsed_is_no_run(lab_cli: Cli) -> None:
    asked = lab_cli("export", "four-pillars")
    assert asked.code == 2
    assert "the show four-pillars has no takes yet" in asked.stderr
    assert "lab rehearse four-pillars" in asked.stderr
