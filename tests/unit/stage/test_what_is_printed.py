"""All that a beat prints is looked at, whatever of it a screen takes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.forms.weaving import WovenFile, WovenSource
from lab.stage.beat import expect
from lab.stage.beat.expect import Seen, Text
from lab.stage.kinds.build import LINES, BuildBeat
from lab.stage.kinds.command import SHOWN, CommandBeat
from lab.stage.stream import events
from tests.unit.stage.one_beat import play

COUNT = "for n in range(1, 501): print(n)"


def test_every_line_of_a_command_is_looked_at(tmp_path: Path) -> None:
    played = play(tmp_path, CommandBeat(argv=(sys.executable, "-c", COUNT)))
    assert len(played.of(events.Line)) == SHOWN
    for text in ("^1$", "^450$", "^500$"):
        assert Text(text=text).missed(played.scene.seen) == ""
    assert Text(text="^501$").missed(played.scene.seen)
    (remark,) = played.of(events.Remark)
    assert str(SHOWN) in remark.text


def test_every_file_that_was_woven_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "\n".join(f"+line {n}" for n in range(LINES + 10))
    files = tuple(WovenFile(name=f"{n}.go", diff=f"{long}\n+end of {n}", added=LINES + 11) for n in range(5))
    monkeypatch.setattr(BuildBeat, "weave", lambda *_: WovenSource(seconds=1.0, files=files))
    played = play(tmp_path, BuildBeat(form="x"))
    assert [len(one.diff.splitlines()) for one in played.of(events.Woven)] == [LINES] * 3
    for text in (r"^\+line 45$", "end of 0", "end of 4"):
        assert Text(text=text).missed(played.scene.seen) == ""


def test_what_is_looked_at_has_an_end_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expect, "MOST", 100)
    seen = Seen()
    for number in range(100):
        seen.note(events.Line(at_ms=0.0, text=f"line {number}"))
    assert sum(map(len, seen.texts)) <= 100
    assert Text(text="line 3").missed(seen) == ""
    assert "first 100 characters" in Text(text="line 99").missed(seen)
