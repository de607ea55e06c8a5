"""A show of a service of one's own, with and without its expected-spans.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.model.errors import ConfigError
from lab.stage.show import show_file

SERVICE = """
schema: 1
name: tickets
main: .
ports: [front]
target: front
ready: {port: front}
topologies:
  all:
    - {name: tickets, argv: ["--front=127.0.0.1:{port:front}"]}
"""
REFERENCE = """
schema: 1
requests:
  seat:
    - {id: front, kind: server, family: http, match: "GET /seats"}
"""
SCENARIO = """
schema: 1
name: tickets
title: Tickets
service: .
requests:
  - {type: seat, path: /seats}
rate_rps: {emulated: 3, native: 100}
"""
ATTACH = "{id: a, kind: attach, title: A, form: baseline, agent_of: ebpf, keep: true}"


def problems(folder: Path, expect: str, *, expected: str = "", before: str = "") -> str:
    """Of a show with one request beat that must show this."""
    files = {"service.yaml": SERVICE, "reference-spans.yaml": REFERENCE, "scenario.yaml": SCENARIO}
    if expected:
        files["expected-spans.yaml"] = f"schema: 1\nforms:\n  {expected}: {{}}\n"
    beats = [before] * bool(before) + [f"{{id: r, kind: request, title: R, expect: [{expect}]}}"]
    files["s.yaml"] = (
        "schema: 1\ntitle: T\nscenario: scenario.yaml\nforms: [baseline, orchestrion-otel, ebpf]\n"
        f"beats: [{', '.join(beats)}]\n"
    )
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    try:
        show_file.load(folder / "s.yaml")
    except ConfigError as error:
        return error.message
    return ""


WHOLE = "{spans: orchestrion-otel, whole: true}"


def test_nothing_is_whole_of_which_nothing_is_known(tmp_path: Path) -> None:
    told = problems(tmp_path, WHOLE)
    assert "beats[0].expect[0].whole" in told
    assert "expected-spans.yaml" in told
    assert "whole" in problems(tmp_path, WHOLE, expected="ebpf"), "of another form nothing is known"
    assert problems(tmp_path, WHOLE, expected="orchestrion-otel") == ""


@pytest.mark.parametrize(
    "expect",
    [
        "{spans: orchestrion-otel}",
        "{spans: orchestrion-otel, names: [GET]}",
        "{value: request_spans, form: orchestrion-otel, at_least: 1}",
        "{spans: baseline, whole: true, at_least: 0}",
    ],
)
def test_what_can_be_told_without_it_is_allowed(tmp_path: Path, expect: str) -> None:
    assert problems(tmp_path, expect) == ""


def test_an_agent_that_stays_takes_what_is_known_of_it_along(tmp_path: Path) -> None:
    on_baseline = "{spans: baseline, whole: true}"
    assert "whole" in problems(tmp_path, on_baseline, before=ATTACH)
    assert problems(tmp_path, on_baseline, before=ATTACH, expected="ebpf") == ""
