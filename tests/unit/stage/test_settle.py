"""What an attempt left in the machine is gone before the next order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.flows import live
from lab.model.errors import DemoError, UsageError
from lab.stage.beat import machine
from lab.stage.beat.machine import LiveMachine
from lab.system.wait import Deadline
from tests.unit.stage.orders_script import Forms
from tests.unit.stage.scripted import a_lab, a_show


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[LiveMachine, Forms]:
    forms = Forms()
    monkeypatch.setattr(live, "opened", lambda *_: contextlib.nullcontext(forms))
    return LiveMachine(lab=a_lab(tmp_path), machine="m", asked=a_show(tmp_path).asked), forms


def kinds(forms: Forms) -> list[str]:
    return [kind for kind, _ in forms.asked]


def test_an_agent_that_an_attempt_left_is_taken_away_once(stage: tuple[LiveMachine, Forms]) -> None:
    one, forms = stage
    one.settle(Deadline.after(5))
    assert kinds(forms) == []
    one.attached.add("baseline")
    one.settle(Deadline.after(5))
    one.settle(Deadline.after(5))
    assert forms.asked == [("detach", {"form": "baseline"})]
    assert not one.attached


def test_an_agent_that_cannot_be_taken_away_fails_the_next_attempt(
    stage: tuple[LiveMachine, Forms], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, forms = stage
    one.attached.add("baseline")
    monkeypatch.setattr(machine, "ENDS_S", 0.01)
    with monkeypatch.context() as broken:
        broken.setattr(forms, "detach", lambda _: fails(DemoError("the standby process does not answer", fix="x")))
        with pytest.raises(DemoError, match="does not answer"):
            one.settle(Deadline.after(5))
    assert one.attached == {"baseline"}
    one.settle(Deadline.after(5))
    assert (kinds(forms), one.attached) == (["detach"], set())


def test_a_form_that_is_not_on_standby_has_no_agent(
    stage: tuple[LiveMachine, Forms], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, forms = stage
    one.attached.add("baseline")
    monkeypatch.setattr(forms, "detach", lambda _: fails(UsageError("not on standby", fix="x")))
    one.settle(Deadline.after(5))
    assert not one.attached


def test_a_machine_that_is_restored_has_no_agent(
    stage: tuple[LiveMachine, Forms], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = stage
    one.attached.add("baseline")
    monkeypatch.setattr(LiveMachine, "_restored", lambda _: "restored")
    one.restore(Deadline.after(5))
    assert not one.attached


def fails(error: Exception) -> Iterator[Any]:
    raise error
