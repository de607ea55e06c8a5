"""A form that fails its proof before the show strikes the beats that ask it for something, and no other."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest

from lab.flows import live
from lab.guest.wire.live import Proof
from lab.model.errors import DemoError
from lab.stage.prepare import looks
from lab.stage.prepare.check import judge
from lab.stage.prepare.machine_checks import MachineChecks
from lab.stage.prepare.points import Point
from lab.stage.show import show_file
from lab.stage.show.show import Show
from tests.unit.stage.orders_script import HEAD, Forms
from tests.unit.stage.scripted import a_lab

KERNEL = "{id: kernel, kind: command, title: A real Linux, on: machine, argv: [uname]}"
WOVEN = "{id: woven, kind: request, title: Woven alone, forms: [orchestrion-otel]}"
AGENT = "{id: agent, kind: request, title: The agent, forms: [ebpf]}"
ATTACHED = "{id: attached, kind: attach, title: Attached, form: baseline, agent_of: ebpf}"
BUILD = "{id: build, kind: build, title: Build, form: orchestrion-otel}"


def proof(form: str, reason: str = "") -> Proof:
    return Proof(**HEAD, form=form, ok=not reason, reason=reason, spans=0 if form == "baseline" else 3)


def checked(folder: Path, monkeypatch: pytest.MonkeyPatch, failed: str, *beats: str) -> tuple[list[Point], Show]:
    path = folder / "s.yaml"
    path.write_text(f"schema: 1\ntitle: T\nforms: [baseline, orchestrion-otel, ebpf]\nbeats: [{', '.join(beats)}]\n")
    show, forms = show_file.load(path), Forms()
    forms.script["reprove"] = [proof(form, "no span for SELECT" if form == failed else "") for form in forms.forms]
    monkeypatch.setattr(live, "opened", lambda *_: contextlib.nullcontext(forms))
    checks = MachineChecks(lab=a_lab(folder), machine="m", show=show, again="again")
    return list(checks.looks()["forms"]()), show


def test_beats_of_other_forms_and_commands_are_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points, show = checked(tmp_path, monkeypatch, "ebpf", KERNEL, WOVEN, AGENT, ATTACHED)
    assert [point.verdict for point in points] == ["ok", "ok", "fail"]
    none = {beat.id: "there is no take of it" for beat in show.beats}
    good = none | {"agent": "", "attached": ""}
    assert judge(points, show.beats, good).line() == "GO WITH FALLBACK: The agent, Attached (recorded)"
    assert judge(points, show.beats, none).word == "NO-GO"


def test_a_form_that_no_beat_asks_for_anything_stops_no_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points, show = checked(tmp_path, monkeypatch, "orchestrion-otel", KERNEL, BUILD, AGENT)
    assert points[1].verdict == "warn"
    assert judge(points, show.beats, {}).line() == "GO"


def test_forms_that_are_not_on_standby_are_no_matter_for_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, show = checked(tmp_path, monkeypatch, "", KERNEL, AGENT)

    def none() -> list[Point]:
        raise DemoError("no forms are on standby", fix="lab standby")

    for name in ("forms", "inputs"):
        found = looks.at_once({name: none}, stop=threading.Event(), end=threading.Event())[name]
        assert judge(found, show.beats, {"agent": ""}).line() == "GO WITH FALLBACK: The agent (recorded)"
    away = looks.at_once({"clock": none}, stop=threading.Event(), end=threading.Event())["clock"]
    assert judge(away, show.beats, {"agent": ""}).word == "NO-GO", "the machine itself does not answer"
