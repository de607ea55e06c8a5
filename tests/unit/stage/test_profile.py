"""What is on standby is compared with what the show asks for: another scenario is another show."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab import forms
from lab.flows import request, standby
from lab.guest.wire import FormSpec
from lab.machines import lifecycle
from lab.model.facts import MachineFacts
from lab.model.machine import Machine, MachineSpec
from lab.stage.history import profile
from lab.stage.history.inputs import differences
from lab.stage.show import show_file
from lab.stage.show.show import Show
from tests.unit.flows.test_standby import record
from tests.unit.stage.scripted import a_lab

PLAIN = FormSpec(name="baseline", mechanism="none", binary="b", sha256="ab", build_id="")


def a_show(folder: Path, scenario: str) -> Show:
    path = folder / "show.yaml"
    path.write_text(
        f"schema: 1\ntitle: T\nscenario: {scenario}\nforms: [baseline]\nbeats: [{{id: a, kind: request, title: A}}]\n"
    )
    return show_file.load(path)


def put(show: Show, **other: Any) -> standby.Standby:
    """What `standby.start` notes of this show."""
    asked = show.asked
    fields = {
        "requests": tuple(one.type for one in asked.scenario.requests),
        "scenario": str(asked.scenario.path.absolute()),
        "service": str(asked.service.root.absolute()),
        "described": request.described(asked),
    }
    return record(**{**fields, **other})


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One where the baseline of today is on standby, whatever was asked for."""
    plan = SimpleNamespace(forms={"baseline": PLAIN}, seed=1)
    monkeypatch.setattr(lifecycle, "machine", lambda *_: Machine(spec=MachineSpec(name="m", provider="qemu")))
    monkeypatch.setattr(lifecycle, "connected", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(forms, "build", lambda *_, **__: {"baseline": SimpleNamespace(sha256="ab", name="baseline")})
    monkeypatch.setattr(profile, "_asked", lambda *_: (plan, MachineFacts.of({}), False))
    monkeypatch.setattr("lab.stage.history.inputs.toolchain", lambda _: {})


def found(monkeypatch: pytest.MonkeyPatch, folder: Path, held: standby.Standby, show: Show) -> profile.Profile:
    monkeypatch.setattr(standby, "kept", lambda *_: held)
    return profile.of(a_lab(folder), "m", show)


@pytest.mark.usefixtures("machine")
def test_another_scenario_with_the_same_forms_is_not_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = a_show(tmp_path, "stage"), a_show(tmp_path, "http")
    assert found(monkeypatch, tmp_path, put(second), second).wrong == ()
    (wrong,) = found(monkeypatch, tmp_path, put(first), second).wrong
    assert wrong == (
        f"its requests are those of {first.asked.scenario.path.absolute()},"
        f" not of {second.asked.scenario.path} as it is now"
    )


@pytest.mark.usefixtures("machine")
def test_what_another_lab_put_there_is_put_there_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show = a_show(tmp_path, "http")
    assert len(found(monkeypatch, tmp_path, put(show, described=None), show).wrong) == 2
    (wrong,) = found(monkeypatch, tmp_path, put(show, topology="gateway"), show).wrong
    assert wrong == "its topology is gateway, not all"


@pytest.mark.usefixtures("machine")
def test_an_edited_scenario_voids_what_was_rehearsed_and_names_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text((request.scenarios_dir() / "http.yaml").read_text())
    show = a_show(tmp_path, "mine.yaml")
    held = put(show)
    before = found(monkeypatch, tmp_path, held, show)
    assert before.wrong == ()
    mine.write_text(mine.read_text().replace("path: /venues", 'path: "/venues?all=1"'))
    after = found(monkeypatch, tmp_path, held, a_show(tmp_path, "mine.yaml"))
    assert len(after.wrong) == 1
    (named,) = differences(before.inputs, after.inputs)
    assert named.startswith("scenario file: ")


def test_each_file_that_describes_a_service_counts(tmp_path: Path) -> None:
    asked = a_show(tmp_path, "http").asked
    for name in ("service.yaml", "reference-spans.yaml"):
        (tmp_path / name).write_bytes((asked.service.root / name).read_bytes())
    asked = dataclasses.replace(asked, service=dataclasses.replace(asked.service, root=tmp_path))
    seen = {request.described(asked).service}
    for name in ("service.yaml", "reference-spans.yaml", "expected-spans.yaml"):
        with (tmp_path / name).open("a") as file:
            file.write("# another\n")
        seen.add(request.described(asked).service)
    assert len(seen) == 4
