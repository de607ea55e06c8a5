"""What is on standby is compared with what the show asks for: another scenario is another show."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab import forms
from lab.flows import request, standby
from lab.forms import form_spec
from lab.guest.wire import FormSpec, decode, dump
from lab.machines import lifecycle
from lab.model.facts import MachineFacts
from lab.model.form import Artifact, Form
from lab.model.machine import Machine, MachineSpec
from lab.stage.history import profile
from lab.stage.history.inputs import differences
from lab.stage.show import show_file
from lab.stage.show.show import Show
from tests.unit.flows.test_standby import record
from tests.unit.stage.scripted import a_lab

ARTIFACTS = {
    name: Artifact(name=name, key="k", path=Path(name), sha256=f"{name} file", size_bytes=1, build_id=f"{name} build")
    for name in ("baseline", "ebpf", "delay-cpu", "agent")
}
FACTS = MachineFacts.of({"lockdown": "none", "arch": "x86_64"})


def a_show(folder: Path, scenario: str, forms: str = "baseline") -> Show:
    path = folder / "show.yaml"
    path.write_text(
        f"schema: 1\ntitle: T\nscenario: {scenario}\nforms: [{forms}]\nbeats: [{{id: a, kind: request, title: A}}]\n"
    )
    return show_file.load(path)


def specs(show: Show) -> dict[str, FormSpec]:
    """As `standby.start` puts them into a machine, which reads them back from the plan."""
    asked = show.asked
    made = {
        form.name: form_spec(form, ARTIFACTS, FACTS, topology=asked.scenario.topology, service=asked.service)
        for form in asked.forms
    }
    return {name: decode(FormSpec, json.loads(dump(spec))) for name, spec in made.items()}


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
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """One where the forms of today are on standby, whatever was asked for. Returns their plan."""
    plan = SimpleNamespace(forms=specs(a_show(tmp_path, "http", "baseline, ebpf, delay-cpu")), seed=1)
    monkeypatch.setattr(lifecycle, "machine", lambda *_: Machine(spec=MachineSpec(name="m", provider="qemu")))
    monkeypatch.setattr(lifecycle, "connected", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(forms, "build", lambda *_, **__: ARTIFACTS)
    monkeypatch.setattr(profile, "_asked", lambda *_: (plan, FACTS, False))
    return plan


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


def but(show: Show, name: str, **changes: Any) -> Show:
    """With another form.yaml of this form."""
    made: list[Form] = [
        dataclasses.replace(form, **changes) if form.name == name else form for form in show.asked.forms
    ]
    return dataclasses.replace(show, asked=dataclasses.replace(show.asked, forms=tuple(made)))


def test_a_form_whose_settings_were_edited_is_put_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: SimpleNamespace
) -> None:
    show = a_show(tmp_path, "http", "baseline, ebpf, delay-cpu")
    held = put(show)
    before = found(monkeypatch, tmp_path, held, show)
    assert before.wrong == ()
    agent = next(form.agent for form in show.asked.forms if form.name == "ebpf")
    assert agent is not None
    off = {"OTEL_TRACES_SAMPLER": "always_off"}
    edits: list[tuple[dict[str, Any], str]] = [
        ({"env": off}, "env"),
        ({"agent": dataclasses.replace(agent, argv=(*agent.argv, "-v"))}, "agent"),
        ({"agent": dataclasses.replace(agent, env=off), "args": ("-x",)}, "args, agent"),
        ({"default_expect": "none"}, "expected"),
    ]
    for edit, named in edits:
        edited = but(show, "ebpf", **edit)
        assert found(monkeypatch, tmp_path, held, edited).wrong == (f"ebpf has other settings: {named}",)
        machine.forms = specs(edited)
        after = found(monkeypatch, tmp_path, held, edited)
        assert after.wrong == ()
        assert [one.partition(":")[0] for one in differences(before.inputs, after.inputs)] == ["form ebpf"]
        machine.forms = specs(show)


def test_an_agent_of_another_build_is_put_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: SimpleNamespace
) -> None:
    show = a_show(tmp_path, "http", "baseline, ebpf")
    held = machine.forms["ebpf"]
    machine.forms["ebpf"] = dataclasses.replace(held, agent=dataclasses.replace(held.agent, sha256="another"))
    assert found(monkeypatch, tmp_path, put(show), show).wrong == ("ebpf is of another build",)


def test_a_control_that_was_sized_by_another_run_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: SimpleNamespace
) -> None:
    """Every run that is measured would size it again; what is there is what was rehearsed."""
    show = a_show(tmp_path, "http", "baseline, delay-cpu")
    held = machine.forms["delay-cpu"]
    machine.forms["delay-cpu"] = dataclasses.replace(held, args=tuple(f"{one}7" for one in held.args))
    assert found(monkeypatch, tmp_path, put(show), show).wrong == ()
