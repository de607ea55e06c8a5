"""A show file is read whole, and every mistake in it is reported in one pass with its place."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab.model.errors import ConfigError
from lab.stage.show import show_file, show_schema

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = DOCS / "reference"
HEAD = "schema: 1\ntitle: T\n"


def problems(folder: Path, text: str) -> list[str]:
    path = folder / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        show_file.load(path)
    return [line.strip().removeprefix(f"{path}:") for line in caught.value.message.splitlines()]


@pytest.mark.parametrize("name", show_file.names())
def test_every_show_that_ships_is_sound(name: str) -> None:
    show = show_file.load(show_file.find(name))
    assert show.name == name
    for minutes in (show.keys.slot_min, *map(float, show.keys.cuts_min)):
        assert show.within(minutes)


def test_all_mistakes_in_one_pass(tmp_path: Path) -> None:
    text = """schema: 1
title: T
scenario: htpp
forms: [baseline, ebfp]
slot_min: 8
cuts_min: [5, 9]
beats:
  - {id: a, title: A, kind: slid}
  - {id: b, title: B, kind: slide, markdwn: x, budget_s: 3 min}
  - id: b
    title: C
    kind: command
    argv: [x]
    else: retri
    cut: 4
    expect: [{text: "("}, {value: exit_code, at_least: 3, at_most: 1}, {span: x}, {spans: baseline}]
"""
    found = problems(tmp_path, text)
    expected = [
        "6:11: cuts_min: each has to be shorter",
        "4:8: forms[1]: no form 'ebfp'; did you mean 'ebpf'?",
        "3:11: scenario: no scenario 'htpp'; did you mean 'http'?",
        "8:29: beats[0].kind: 'slid' is not one of",
        "9:45: beats[1].markdwn: unknown key; did you mean 'markdown'?",
        "9:58: beats[1].budget_s: a number is expected, not '3 min'; the unit is seconds: write 180",
        "14:11: beats[2].else: 'retri' is not one of retry, take, skip, stop; did you mean 'retry'?",
        "15:10: beats[2].cut: is no slot of this show",
        "16:21: beats[2].expect[0].text: not a regular expression",
        "16:35: beats[2].expect[1].value: nothing is at least 3 and at most 1",
        "16:79: beats[2].expect[2].span: one of text, value, spans, verdict, inside is expected",
        "16:91: beats[2].expect[3].spans: a beat of kind command never shows it",
        "10:9: beats[2].id: 'b' is the id of beats[1] already",
    ]
    assert found[0] == "13 problems:"
    assert [line[: len(want)] for line, want in zip(found[1:], expected, strict=True)] == expected


@pytest.mark.parametrize(
    ("beats", "told"),
    [
        ("beats: []", "beats: at least one beat is needed"),
        ("beats: [{id: a, kind: slide, title: A}]", "beats[0].markdown: is required"),
        ("beats: [{id: a, kind: slide, title: A, markdown: x, say_s: 600}]", "take 600 s to say"),
        ("beats: [{id: a/b, kind: slide, title: A, markdown: x}]", "'a/b' is not a file name"),
        (
            "beats: [{id: a, kind: command, title: A, argv: [x], expect: [{value: exit_cod, at_most: 1}]}]",
            "'exit_cod' is no value of a beat of kind command; did you mean 'exit_code'?",
        ),
        (
            "beats: [{id: a, kind: command, title: A, argv: [x], expect: [{value: exit_code}]}]",
            "needs at_least or at_most",
        ),
    ],
)
def test_one_mistake(tmp_path: Path, beats: str, told: str) -> None:
    found = problems(tmp_path, HEAD + beats)
    assert len(found) == 1, found
    assert told in found[0]


SOME = f"{HEAD}forms: [baseline, orchestrion-otel, ebpf]\n"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("kind: request, request: venue", "request: the scenario has no request type 'venue'; did you mean 'venues'?"),
        ("kind: request, forms: [ebpf, ebpf]", "forms: the form 'ebpf' is a duplicate"),
        ("kind: attach, form: baseline, agent_of: ebpf, request: venue", "request: the scenario has no request type"),
        (
            "kind: attach, form: baseline, agent_of: ebfp",
            "agent_of: 'ebfp' is no form of this show; did you mean 'ebpf'",
        ),
        ("kind: attach, form: baseline, agent_of: twin", "agent_of: 'twin' is no form of this show: name one with an"),
        (
            "kind: attach, form: baseline, agent_of: orchestrion-otel",
            "agent_of: 'orchestrion-otel' is a form without an agent: name one with an agent (of this show: ebpf)",
        ),
        (
            "kind: attach, form: ebpf, agent_of: ebpf",
            "form: 'ebpf' is instrumented already: name a form without instrumentation (of this show: baseline)",
        ),
        (
            "kind: attach, form: baseline, agent_of: ebpf, expect: [{spans: baseline}]",
            "expect[0].spans: a beat of kind",
        ),
        (
            "kind: build, form: ebpf",
            "form: nothing is woven into 'ebpf': name a form of mechanism compile-time (of this",
        ),
        ("kind: load, forms: [ebpf]", "forms: two to four forms are loaded at once, not 1"),
        ("kind: load, forms: [ebpf, ebpf]", "forms: the form 'ebpf' is a duplicate"),
        ("kind: load, load_s: 60", "load_s: 60 s of load do not end within budget_s, 30 s"),
        ("kind: load, budget_s: 15", "load_s: 20 s of load do not end within budget_s, 15 s"),
        ("kind: command, argv: []", "argv: names no program"),
        ("kind: command, argv: ['']", "argv: names no program"),
        ('kind: command, argv: [ls, "a\\0b"]', "argv: its word 2 has a NUL, which no program can be given"),
        (
            "kind: request, forms: [baseline], expect: [{spans: ebpf}]",
            "expect[0].spans: the beat does not show the form 'ebpf' (it shows: baseline)",
        ),
        (
            "kind: load, forms: [baseline, ebpf], expect: [{value: rss, form: orchestrion-otel, at_least: 1}]",
            "expect[0].form: the beat does not show the form 'orchestrion-otel' (it shows: baseline, ebpf)",
        ),
        ("kind: command, argv: [x], expect: [{value: command_s, form: ebpf, at_most: 1}]", "(it shows: none)"),
        (
            "kind: load, expect: [{value: spans, at_most: -1}]",
            "expect[0].at_most: spans is at least 0 in each beat that",
        ),
        (
            "kind: command, argv: [x], expect: [{value: exit_code, at_least: 300}]",
            "expect[0].at_least: exit_code is 0 in",
        ),
        (
            "kind: command, argv: [x], exit_code: 3, expect: [{value: exit_code, at_most: 2}]",
            "at_most: exit_code is 3 in",
        ),
    ],
)
def test_what_could_only_fail_on_stage_is_a_mistake_in_the_file(tmp_path: Path, keys: str, told: str) -> None:
    found = problems(tmp_path, f"{SOME}beats: [{{id: a, title: A, {keys}}}]")
    assert len(found) == 1, found
    assert "beats[0]." in found[0]
    assert told in found[0]


@pytest.mark.parametrize("forms", ["[ebpf]", "[baseline, twin, delay-cpu, delay-wait, ebpf]"])
def test_a_load_of_all_forms_of_the_show_takes_two_to_four(tmp_path: Path, forms: str) -> None:
    found = problems(tmp_path, f"{HEAD}forms: {forms}\nbeats: [{{id: a, title: A, kind: load}}]")
    assert len(found) == 1, found
    assert "beats[0].forms: two to four forms are loaded at once, not" in found[0]


def test_each_slot_has_a_beat(tmp_path: Path) -> None:
    text = f"{HEAD}cuts_min: [5, 3]\nbeats: [{{id: a, kind: slide, title: A, markdown: x, cut: 5}}]"
    found = problems(tmp_path, text)
    assert found == ["3:11: cuts_min: the slot of 3 minutes has no beat: give one a cut of at most 3"]


def test_takes_of_two_beats_are_two_files_on_every_system(tmp_path: Path) -> None:
    slides = "\n".join(f"  - {{id: {name}, kind: slide, title: A, markdown: x}}" for name in "aA")
    (found,) = problems(tmp_path, f"{HEAD}beats:\n{slides}")
    assert found.startswith(
        "5:10: beats[1].id: 'A' is the id of beats[0] in another case: both takes would be one file"
    )


def test_nothing_follows_from_a_scenario_or_a_key_that_cannot_be_read(tmp_path: Path) -> None:
    beats = "beats: [{id: a, kind: load, title: A, budget_s: 1 min}, {id: b, kind: request, title: B, request: x}]"
    found = problems(tmp_path, f"{HEAD}scenario: htpp\n{beats}")
    assert [line.partition(": ")[2][:18] for line in found[1:]] == ["scenario: no scena", "beats[0].budget_s:"]


@pytest.mark.parametrize("page", [page for page in DOCS.rglob("*.md") if "\nbeats:\n" in page.read_text("utf-8")])
def test_every_show_in_the_docs_is_sound(tmp_path: Path, page: Path) -> None:
    for at, text in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)):
        if "\nbeats:\n" in text:
            path = tmp_path / f"show{at}.yaml"
            path.write_text(text, encoding="utf-8")
            assert show_file.load(path).beats


def test_a_show_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="did you mean 'four-pillars'"):
        show_file.find("four-pilars")


def test_the_reference_is_made_from_the_keys() -> None:
    assert json.loads((REFERENCE / "show.schema.json").read_text(encoding="utf-8")) == show_schema.json_schema(), (
        "write it: ./labw show --schema > docs/reference/show.schema.json"
    )
    assert (REFERENCE / "show-file.md").read_text(encoding="utf-8") == show_schema.markdown(), (
        "write it: ./labw show --reference > docs/reference/show-file.md"
    )


LOAD = "kind: load, forms: [baseline, orchestrion-otel, ebpf], expect: "


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (LOAD + "[{value: spans, ratio: true, at_most: 2}]", "ratio: spans has no ratio (these have one: latency_p50,"),
        (LOAD + "[{value: rss, ratio: true, form: baseline, at_most: 2}]", "ratio: baseline is what the others"),
        (
            "kind: load, forms: [orchestrion-otel, ebpf], expect: [{value: rss, ratio: true, at_most: 2}]",
            "ratio: the beat shows neither twin nor baseline",
        ),
        (LOAD + "[{value: rss, ratio: true, at_most: -1}]", "at_most: the ratio of rss is at least 0 in"),
        (LOAD + "[{value: spans, form: baseline, at_least: 1}]", "form: 'baseline' gives no spans"),
        ("kind: request, expect: [{spans: baseline}]", "spans: 'baseline' gives no spans: name an instrumented form"),
        ("kind: request, expect: [{spans: baseline, at_least: 0, names: [x]}]", "spans: 'baseline' gives no spans"),
        (
            "kind: request, expect: [{value: request_spans, form: ebpf, ratio: true, at_least: 1}]",
            "ratio: request_spans has no ratio (no value of this beat has one)",
        ),
        (
            "kind: build, form: orchestrion-otel, expect: [{value: build_s, ratio: true, at_most: 2}]",
            "ratio: build_s has no ratio",
        ),
        (
            "kind: attach, form: baseline, agent_of: ebpf, expect: [{value: attach_s, ratio: true, at_most: 2}]",
            "ratio: attach_s has no ratio",
        ),
        (
            "kind: command, argv: [x], budget_s: 5, expect: [{value: command_s, at_least: 6}]",
            "at_least: command_s is at least 0 and at most 5 in each beat",
        ),
        (
            "kind: build, form: orchestrion-otel, budget_s: 5, expect: [{value: build_s, at_least: 6}]",
            "at_least: build_s is at least 0 and at most 5 in each beat",
        ),
        (
            "kind: slide, markdown: '# Hello', expect: [{text: '^Hello'}]",
            "text: nothing in the markdown matches '^Hello'",
        ),
    ],
)
def test_an_expectation_that_no_beat_can_meet_is_a_mistake_in_the_file(tmp_path: Path, keys: str, told: str) -> None:
    found = problems(tmp_path, f"{SOME}beats: [{{id: a, title: A, {keys}}}]")
    assert len(found) == 1, found
    assert f"beats[0].expect[0].{told}" in found[0]


@pytest.mark.parametrize(
    "keys",
    [
        LOAD + "[{value: rss, ratio: true, at_most: 2}, {value: spans, at_least: 1}]",
        "kind: request, expect: [{spans: baseline, at_least: 0, whole: true}]",
        "kind: command, argv: [x], budget_s: 5, expect: [{value: command_s, at_most: 6}]",
        "kind: slide, markdown: '# Hello', expect: [{text: 'Hell.$'}]",
    ],
)
def test_an_expectation_that_can_be_met_is_none(tmp_path: Path, keys: str) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(f"{SOME}beats: [{{id: a, title: A, {keys}}}]")
    assert show_file.load(path).beats[0].expect


def test_beside_the_twin_the_baseline_has_a_ratio(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    keys = "kind: load, expect: [{value: rss, ratio: true, form: baseline, at_most: 2}]"
    path.write_text(f"{HEAD}forms: [baseline, twin, ebpf]\nbeats: [{{id: a, title: A, {keys}}}]")
    assert show_file.load(path).beats[0].expect


def test_an_agent_that_stays_gives_the_baseline_spans(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    attach = "{id: a, title: A, kind: attach, form: baseline, agent_of: ebpf, keep: true}"
    path.write_text(f"{SOME}beats: [{attach}, {{id: b, title: B, kind: request, expect: [{{spans: baseline}}]}}]")
    assert len(show_file.load(path).beats) == 2
