"""A show begins where its rehearsals began, whatever the show before it left in the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.flows import snapshot, standby
from lab.guest.wire.live import Proof
from lab.machines import snapshots
from lab.model.errors import DemoError
from lab.model.lab import Lab
from lab.stage.history import profile
from lab.stage.history.inputs import Inputs
from lab.stage.history.profile import Profile
from lab.stage.play.engine import Engine
from lab.stage.play.opening import ShowRequest, opened
from lab.stage.prepare.machine_checks import MachineChecks
from lab.stage.show import show_file
from lab.stage.show.show import Show
from tests.support import lab_at
from tests.unit.flows.test_standby import record

SHOW = """
schema: 1
title: T
forms: [baseline, ebpf]
beats:
  - {id: ask, kind: request, title: Ask}
"""


@pytest.fixture
def began(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How machines were made ready; none has a snapshot."""
    done: list[str] = []
    monkeypatch.setattr(profile, "of", lambda *_: Profile(inputs=Inputs(show="", seed=1)))
    monkeypatch.setattr(snapshots, "names", lambda *_: ())
    monkeypatch.setattr(snapshot, "restore", lambda *_, **__: pytest.fail("there is nothing to restore"))
    monkeypatch.setattr(standby, "start", lambda _, name, __: done.append(name))
    return done


def a_show(folder: Path, beat: str = "kind: request") -> Show:
    (folder / "s.yaml").write_text(SHOW.replace("kind: request", beat))
    return show_file.load(folder / "s.yaml")


def on_standby(lab: Lab, *machines: str) -> None:
    for name in machines:
        lab.paths.machine(name).mkdir(parents=True)
        standby.keep(lab, name, record())


def remarks(engine: Engine) -> list[str]:
    return [event.text for event in engine.first if hasattr(event, "text")]


def test_a_machine_without_the_snapshot_has_its_forms_started_again(tmp_path: Path, began: list[str]) -> None:
    """An agent that a beat attached may have stayed: the next baseline would be measured with it."""
    lab = lab_at(tmp_path)
    own = lab.config.machine.name
    on_standby(lab, own, "second")
    with opened(lab, a_show(tmp_path), ShowRequest(fresh=True, standby="second")) as engine:
        assert not any("not restored" in text for text in remarks(engine))
    assert began == [own, "second"]


def test_a_rehearsal_has_done_it_already(tmp_path: Path, began: list[str]) -> None:
    lab = lab_at(tmp_path)
    on_standby(lab, lab.config.machine.name)
    with opened(lab, a_show(tmp_path), ShowRequest(source="rehearsal")):
        pass
    assert began == []


def test_what_was_never_on_standby_is_not_put_there(tmp_path: Path, began: list[str]) -> None:
    with opened(lab_at(tmp_path), a_show(tmp_path), ShowRequest(fresh=True)) as engine:
        assert not any("not restored" in text for text in remarks(engine))
    assert began == []


def test_a_show_that_asks_no_machine_starts_nothing(tmp_path: Path, began: list[str]) -> None:
    lab = lab_at(tmp_path)
    on_standby(lab, lab.config.machine.name)
    with opened(lab, a_show(tmp_path, "kind: slide, markdown: x"), ShowRequest(fresh=True)):
        pass
    assert began == []


def test_forms_that_do_not_start_leave_the_takes(
    tmp_path: Path, began: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise DemoError("not every form is proven", fix="lab deploy")

    lab = lab_at(tmp_path)
    on_standby(lab, lab.config.machine.name)
    monkeypatch.setattr(standby, "start", fails)
    with opened(lab, a_show(tmp_path), ShowRequest(fresh=True)) as engine:
        told = [text for text in remarks(engine) if "not every form is proven" in text]
    assert len(told) == 1


def test_a_baseline_with_spans_is_told_before_the_show(tmp_path: Path) -> None:
    """Proven as what it is now: the form with the agent that a beat attached."""
    show = a_show(tmp_path)
    checks = MachineChecks(lab=lab_at(tmp_path), machine="m", show=show, again="lab rehearse")
    spans = {"baseline": 4, "ebpf": 4}
    points = {
        name: checks._proof(Proof(order="1", at_ns=0, form=name, ok=True, reason="", spans=count))
        for name, count in spans.items()
    }
    assert points["ebpf"].verdict == "ok"
    assert points["baseline"].verdict == "warn"
    assert "an agent that an earlier beat attached" in points["baseline"].text
    silent = checks._proof(Proof(order="1", at_ns=0, form="baseline", ok=True, reason=""))
    assert silent.verdict == "ok"
