"""Each mistake in a beat is told at once, whatever its kind is."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.model.errors import ConfigError
from lab.stage.show import show_file

BEAT = "{id: 'ü/1', kind: slid, budget_s: 0, else: nope, cut: 77, say_s: -3}"


def told(tmp_path: Path, beat: str) -> list[str]:
    path = tmp_path / "s.yaml"
    path.write_text(f"schema: 1\ntitle: T\nbeats:\n  - {beat}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        show_file.load(path)
    keys = ("id", "title", "kind", "budget_s", "else", "cut", "say_s")
    return [key for key in keys if f"beats[0].{key}" in caught.value.message]


def test_the_keys_of_every_beat_are_checked_without_its_kind(tmp_path: Path) -> None:
    assert told(tmp_path, BEAT) == ["id", "title", "kind", "budget_s", "else", "cut", "say_s"]
    assert told(tmp_path, BEAT.replace("kind: slid, ", "")) == [
        "id",
        "title",
        "kind",
        "budget_s",
        "else",
        "cut",
        "say_s",
    ]


@pytest.mark.parametrize("kind", ["[slide]", "null", "{a: b}"])
def test_a_kind_that_is_no_word_is_told_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"schema: 1\ntitle: T\nbeats:\n  - {{id: a, title: A, kind: {kind}}}\n")
    with pytest.raises(ConfigError) as caught:
        show_file.load(path)
    assert caught.value.message.count("beats[0].") == 1, caught.value.message
