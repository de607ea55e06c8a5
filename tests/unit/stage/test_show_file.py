"""A show file is read whole, and every mistake in it is reported in one pass with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.model.errors import ConfigError
from lab.stage.show import show_file, show_schema

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
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
