"""What a rehearsal makes before its first run: what is whole stays, the rest is made again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from lab.flows import snapshot, standby
from lab.guest.wire import encode
from lab.machines import lifecycle, snapshots
from lab.model.errors import Locked
from lab.model.lab import Lab
from lab.model.machine import Machine, MachineSpec
from lab.model.paths import SNAPSHOTS_DIR
from lab.stage.beat.machine import TAG
from lab.stage.history import ledger, profile, takes
from lab.stage.history.inputs import Inputs
from lab.stage.history.profile import Profile
from lab.stage.play.engine import Engine
from lab.stage.play.opening import ShowRequest, opened
from lab.stage.prepare import rehearsing
from lab.stage.prepare.rehearsing import rehearse
from lab.stage.show import show_file
from lab.stage.show.show import Show
from lab.system import asleep
from tests.support import lab_at
from tests.unit.flows.test_standby import record

ASKED = ShowRequest(source="rehearsal", pace="alone")
SHOW = """
schema: 1
title: T
forms: [baseline, ebpf]
beats:
  - {id: ask, kind: request, title: Ask}
"""


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done to a machine that has all that a rehearsal makes."""
    done: list[str] = []

    def up(*_: Any, **__: Any) -> Machine:
        done.append("up")
        return Machine(spec=MachineSpec(name="m", provider="qemu"))

    monkeypatch.setattr(lifecycle, "up", up)
    monkeypatch.setattr(profile, "of", lambda *_: Profile(inputs=Inputs(show="", seed=1)))
    monkeypatch.setattr(snapshot, "holds", lambda *_: True)
    monkeypatch.setattr(snapshots, "names", lambda *_: (TAG,))

    def restore(*_: Any, **__: Any) -> Any:
        done.append("restore")
        return SimpleNamespace(failed=[])

    monkeypatch.setattr(snapshot, "restore", restore)
    return done


def a_show(folder: Path) -> Show:
    (folder / "s.yaml").write_text(SHOW)
    return show_file.load(folder / "s.yaml")


def test_a_rehearsal_leaves_the_machine_of_a_show_alone(tmp_path: Path, touched: list[str]) -> None:
    lab, show = lab_at(tmp_path), a_show(tmp_path)
    with opened(lab, show, ShowRequest()), pytest.raises(Locked, match="the stage of machine"):
        rehearse(lab, show, ASKED, 1, lambda _: None)
    assert touched == []


def test_a_show_that_asks_no_machine_for_anything_gets_none(tmp_path: Path, touched: list[str]) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SHOW.replace("kind: request", "kind: slide, markdown: x"))
    lab, show = lab_at(tmp_path), show_file.load(path)
    rehearse(lab, show, ASKED, 1, lambda _: None)
    assert touched == []
    rehearsals = ledger.read(takes.folder(lab.paths, lab.config.machine.name, show.name))
    assert [one.inputs.show for one in rehearsals] == [show.digest]


@pytest.mark.parametrize(("pace", "runs"), [("keys", 1), ("alone", 2)])
def test_the_key_that_ends_a_rehearsal_ends_them_all(
    tmp_path: Path, touched: list[str], pace: Literal["keys", "alone"], runs: int
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SHOW.replace("kind: request", "kind: slide, markdown: x"))

    def perform(engine: Engine) -> None:
        engine.act("stop" if pace == "keys" else "curtain")
        engine.run()

    done = rehearse(lab_at(tmp_path), show_file.load(path), ShowRequest(source="rehearsal", pace=pace), 2, perform)
    assert touched == []
    assert len(done.runs) == runs


def slides(folder: Path) -> Show:
    path = folder / "s.yaml"
    path.write_text(SHOW.replace("kind: request", "kind: slide, markdown: x"))
    return show_file.load(path)


def test_a_laptop_that_slept_in_a_rehearsal_leaves_no_clean_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept_s = 100.0
    monkeypatch.setattr(asleep, "slept_s", lambda: slept_s)

    def perform(engine: Engine) -> None:
        nonlocal slept_s
        slept_s += 63.0 if slept_s == 100.0 else 0.0
        engine.run()

    done = rehearse(lab_at(tmp_path), slides(tmp_path), ASKED, 2, perform)
    assert [(one.clean, one.slept_s) for one in done.runs] == [(False, 63.0), (True, 0.0)]
    assert {one.slept_s for one in ledger.read(done.place)} == {63.0, 0.0}
    assert "not clean: this laptop slept for 63 s" in rehearsing._told(done.runs[0])


@pytest.mark.parametrize(("pace", "held"), [("alone", ["held", "play", "let go"]), ("keys", ["play"])])
def test_an_unattended_rehearsal_holds_sleep_back_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pace: Literal["keys", "alone"], held: list[str]
) -> None:
    """With keys the views do that, as on stage."""
    done: list[str] = []

    @contextlib.contextmanager
    def awake(_: object) -> Iterator[None]:
        done.append("held")
        yield
        done.append("let go")

    monkeypatch.setattr(rehearsing, "awake", awake)
    asked = ShowRequest(source="rehearsal", pace=pace)
    rehearse(lab_at(tmp_path), slides(tmp_path), asked, 1, lambda _: done.append("play"))
    assert done == held


def test_no_show_begins_between_two_rehearsals(
    tmp_path: Path, touched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, show = lab_at(tmp_path), a_show(tmp_path)
    refused: list[str] = []

    def refuses(when: str) -> Any:
        with pytest.raises(Locked), opened(lab, show, ShowRequest()):
            pass
        refused.append(when)
        return SimpleNamespace(failed=[])

    monkeypatch.setattr(snapshot, "restore", lambda *_, **__: refuses("restore"))
    rehearse(lab, show, ASKED, 2, lambda _: refuses("play"))
    assert refused == ["restore", "play"] * 2
    with opened(lab, show, ShowRequest()):
        pass


def saved(lab: Lab, held: standby.Standby | None) -> None:
    """A snapshot with these forms."""
    doc = {"schema": 1, "name": TAG, "boot_id": "b", "uptime_s": 1.0, "nonce": "n", "kept": {}}
    folder = lab.paths.machine("m") / SNAPSHOTS_DIR
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{TAG}.json").write_text(json.dumps({**doc, "standby": None if held is None else encode(held)}))


@pytest.mark.parametrize("held", [record(), None])
def test_a_snapshot_of_other_forms_than_are_on_standby_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: standby.Standby | None
) -> None:
    """An earlier rehearsal put the forms of today on standby, and was stopped before it saved them."""
    lab = lab_at(tmp_path)
    lab.paths.machine("m").mkdir(parents=True)
    saved(lab, held)
    starts: list[int] = []

    def start(lab: Lab, name: str, _: Any) -> standby.Standby:
        starts.append(43 + len(starts))
        standby.keep(lab, name, record(pid=starts[-1]))
        return record(pid=starts[-1])

    def save(lab: Lab, *_: Any, standby: dict[str, Any]) -> None:
        if len(starts) == 1:
            raise Locked("machine m is in use", fix="wait")
        saved(lab, record(pid=standby["pid"]))

    machine = Machine(spec=MachineSpec(name="m", provider="qemu"))
    monkeypatch.setattr(lifecycle, "up", lambda *_, **__: machine)
    wrong = [("ebpf is of another build",), (), (), ()]
    monkeypatch.setattr(profile, "of", lambda *_: Profile(inputs=Inputs(show="", seed=1), wrong=wrong.pop(0)))
    monkeypatch.setattr(standby, "start", start)
    monkeypatch.setattr(snapshots, "check", lambda *_: None)
    monkeypatch.setattr(snapshots, "save", save)
    show: Any = SimpleNamespace(name="s", beats=(SimpleNamespace(needs_machine=True, does=None),), asked=object())
    with pytest.raises(Locked):
        rehearsing.prepare(lab, show)
    rehearsing.prepare(lab, show)
    assert starts == [43, 44], "started again and saved"
    rehearsing.prepare(lab, show)
    assert starts == [43, 44], "what is whole stays"
    assert snapshot.holds(lab, "m", TAG)
