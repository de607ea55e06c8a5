"""No text of a program, a show file or a service steers the speaker's terminal or the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lab.model.errors import ConfigError
from lab.stage.beat.expect import Text
from lab.stage.kinds.command import CommandBeat
from lab.stage.show import show_file
from lab.stage.stream import events
from lab.stage.stream.cleaned import cleaned
from lab.stage.stream.records import Score, StageRecord
from tests.fakes.recorded_show import records
from tests.unit.stage.one_beat import play

TITLE = "A \x1b]0;owned\x07\x1b[31mB"
PRINTS = r"print('\x1b[31mred\x1b[0m\tand more'); print('10 %\r20 %', end='\r\n'); print('\abell')"


def test_what_a_command_prints_is_shown_as_a_terminal_leaves_it(tmp_path: Path) -> None:
    played = play(tmp_path, CommandBeat(argv=(sys.executable, "-c", PRINTS)))
    assert [line.text for line in played.of(events.Line)] == ["red\tand more", "20 %", "bell"]
    assert [event.text for _, event in played.scene.log if isinstance(event, events.Line)][:1] == ["red\tand more"]
    assert Text(text="^red\t").missed(played.scene.seen) == ""


def test_what_is_only_searched_is_clean_too(tmp_path: Path) -> None:
    code = "for n in range(450): print(f'\\x1b[32m{n}\\x1b[m')"
    played = play(tmp_path, CommandBeat(argv=(sys.executable, "-c", code)))
    assert Text(text="^449$").missed(played.scene.seen) == ""


def test_every_record_is_clean() -> None:
    card = events.BeatCard(id="a", title=TITLE, kind="slide", budget_s=1.0)
    show = events.ShowStarted(title=TITLE, beats=(card,), slot_s=1.0, forms=(), source="live", machine="m")
    for event in (
        show,
        events.Notes(beat=0, text=f"{TITLE}\nsecond", expects=(TITLE,)),
        events.Remark(text=TITLE),
        events.Cause(at_ms=0.0, name="n", evidence=TITLE, sentence=TITLE),
        events.RequestSent(at_ms=0.0, form="f", number=0, type="t", wanted=(events.WantedSpan(name=TITLE, kind="k"),)),
    ):
        kept = Score().add(event)
        read = StageRecord.from_json(StageRecord(seq=1, at_s=0.0, event=event).to_json())  # of an earlier version
        for one in (kept, read):
            assert "\\u001b" not in json.dumps(one.to_json())
            assert "A B" in json.dumps(one.to_json())


def test_what_is_clean_stays_the_same_object() -> None:
    for record in records():
        assert cleaned(record.event) is record.event


@pytest.mark.parametrize("key", ["title", "notes", "markdown"])
def test_a_show_file_with_control_characters_is_refused(tmp_path: Path, key: str) -> None:
    keys = {"title": "A", "markdown": "a\tb\\nc", key: r"x \e[2J"}
    beat = ", ".join(f'{name}: "{text}"' for name, text in keys.items())
    path = tmp_path / "x.yaml"
    path.write_text(f"schema: 1\ntitle: T\nbeats:\n  - {{id: a, kind: slide, {beat}}}\n")
    with pytest.raises(ConfigError) as caught:
        show_file.load(path)
    assert f"beats[0].{key}: contains the control character U+001B" in caught.value.message
    assert "\x1b" not in caught.value.message


def test_a_program_may_be_given_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text('schema: 1\ntitle: T\nbeats:\n  - {id: a, kind: command, title: A, argv: [printf, "\\e[31mred"]}\n')
    show = show_file.load(path)
    assert show.beats[0].does == CommandBeat(argv=("printf", "\x1b[31mred"))
