"""A take is played as it was recorded, or refused with the reason."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import threading
import time
from pathlib import Path

import pytest

from lab.guest.wire import canonical
from lab.stage.beat.scene import Scene
from lab.stage.history import takes
from lab.stage.history.inputs import HostInputs, Inputs
from lab.stage.history.takes import Take
from lab.stage.stream.events import BeatEnded, Cause, Line, Value
from lab.stage.stream.records import StageRecord
from tests.unit.stage.scripted import Cast, a_beat, a_lab, a_run, a_show

INPUTS = Inputs(machine={"kernel": "6.1.0-29"}, show="aa", seed=1)
TAKE = Take(
    show="s",
    beat="one",
    machine="lab",
    recorded="2026-02-01T10:00:00+00:00",
    inputs=INPUTS,
    seconds=1.5,
    records=(
        StageRecord(seq=1, at_s=0.1, event=Line(at_ms=100.0, text="é")),
        StageRecord(seq=2, at_s=1.2, event=Value(at_ms=1200.0, name="rate", title="rate", value=20.0, unit="per s")),
    ),
)


def test_a_take_is_read_as_it_was_kept(tmp_path: Path) -> None:
    takes.save(tmp_path, TAKE)
    assert takes.usable(tmp_path, "one", INPUTS) == TAKE
    host = HostInputs(show="aa", scenario="", service="", beside={}, seed=1)
    assert takes.usable(tmp_path, "one", host) == TAKE


def test_no_take(tmp_path: Path) -> None:
    assert takes.usable(tmp_path, "one", INPUTS) == "there is no take of it: a rehearsal records one"


def test_a_take_of_other_inputs_is_refused_and_the_input_named(tmp_path: Path) -> None:
    takes.save(tmp_path, TAKE)
    told = takes.usable(tmp_path, "one", dataclasses.replace(INPUTS, machine={"kernel": "6.1.0-31"}))
    assert told == "its take of 2026-02-01 is of other inputs: kernel: 6.1.0-29 in rehearsal, 6.1.0-31 now"


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda text: text.replace("20.0", "21.0"), "its digest is not that of its content"),
        (lambda text: text[: len(text) // 2], "not JSON"),
        (lambda _: "", "not JSON"),
        (lambda text: text.replace('"schema": 1', '"schema": 9'), "schema 9"),
    ],
)
def test_a_damaged_take_is_refused_by_name(tmp_path: Path, damage, why: str) -> None:  # type: ignore[no-untyped-def]
    path = takes.save(tmp_path, TAKE)
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    told = takes.usable(tmp_path, "one", INPUTS)
    assert isinstance(told, str)
    assert why in told
    assert str(path) in told


@pytest.mark.parametrize("written", [5, None, "x"])
def test_a_take_whose_records_are_no_list_is_refused(tmp_path: Path, written: object) -> None:
    path = takes.save(tmp_path, TAKE)
    doc = json.loads(path.read_text(encoding="utf-8"))
    doc["take"]["records"] = written
    doc["sha256"] = hashlib.sha256(canonical(doc["take"])).hexdigest()
    path.write_text(json.dumps(doc), encoding="utf-8")
    told = takes.usable(tmp_path, "one", INPUTS)
    assert isinstance(told, str)
    assert "records: a list is expected" in told


def test_the_take_of_another_beat_is_refused(tmp_path: Path) -> None:
    path = takes.save(tmp_path, TAKE)
    path.rename(path.with_name("two.json"))
    assert takes.usable(tmp_path, "two", INPUTS) == "its take cannot be played: two.json is the take of beat one"


def test_on_a_full_disk_the_earlier_take_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = takes.save(tmp_path, TAKE)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        takes.save(tmp_path, dataclasses.replace(TAKE, seconds=9.0))
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_take_is_plain_json(tmp_path: Path) -> None:
    doc = json.loads(takes.save(tmp_path, TAKE).read_text(encoding="utf-8"))
    assert doc["take"]["records"][0]["event"] == "Line"


def test_a_take_that_a_key_leaves_has_no_cause(tmp_path: Path) -> None:
    """Its values are of another day."""
    off = Value(at_ms=0.0, name="rate", title="rate", value=9.0, unit="per s", judged="a bit off", low=1.0, high=2.0)
    records = (StageRecord(seq=1, at_s=0.0, event=off), StageRecord(seq=2, at_s=5.0, event=Line(at_ms=0.0, text="x")))
    take = dataclasses.replace(TAKE, seconds=5.0, records=records)
    beats = [a_beat("one", lambda _: None), a_beat("two", lambda _: None)]
    with a_run(tmp_path, *beats, take_of=lambda _: take) as run:
        run.wait(BeatEnded)
        run.engine.act("recorded")
        run.wait(Value)
        run.engine.act("next")
        run.engine.act("next")
        run.wait(BeatEnded, beat=1)
    assert run.of(Cause) == []


def test_a_long_take_is_played_faster(tmp_path: Path) -> None:
    """What was recorded beside other work is shown within LONGEST_S."""
    scene = Scene(
        lab=dataclasses.replace(a_lab(tmp_path), cancel=threading.Event()), cast=Cast(), asked=a_show(tmp_path).asked,
        budget_s=9.0, sink=lambda _: None,
    )  # fmt: skip
    began = time.monotonic()
    dataclasses.replace(TAKE, seconds=100 * takes.LONGEST_S).play(scene)
    assert time.monotonic() - began < 1.0
    assert len(scene.log) == 2
