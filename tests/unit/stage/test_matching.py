"""A regular expression of a show file cannot hold the show, nor break its reader."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from lab.model.errors import ConfigError
from lab.stage.beat import matching
from lab.stage.beat.expect import Seen, Text
from lab.stage.show import show_file
from lab.stage.stream.events import BeatEnded
from tests.unit.stage.scripted import a_beat, a_run, say

ENDLESS = "^(a+)+$"
LINE = "a" * 60 + "!"


def test_an_expression_that_never_ends_is_not_seen_and_the_show_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "LONGEST_S", 0.5)
    beat = a_beat("one", lambda scene: scene.emit(say(LINE)), expect=(Text(text=ENDLESS),), else_="skip")
    with a_run(tmp_path, beat, pace="alone") as run:
        run.over()
    (ended,) = run.of(BeatEnded)
    assert ended.outcome == "missed"
    assert ended.reason == f"{ENDLESS!r} takes more than 0.5 s to look for in what was printed"


def test_other_threads_go_on_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "LONGEST_S", 1.0)
    looking = threading.Thread(target=lambda: Text(text=ENDLESS).missed(Seen(texts=[LINE])), daemon=True)
    looking.start()
    began = time.monotonic()
    time.sleep(0.1)
    assert time.monotonic() - began < 0.9
    looking.join(10)
    assert not looking.is_alive()


@pytest.mark.parametrize(
    ("pattern", "there"),
    [("six", True), ("^s.x$", True), ("five\nsix", True), ("(five|ten)\ns+", True), ("s{2}", False), ("ten", False)],
)
def test_what_is_looked_for(pattern: str, there: bool) -> None:
    missed = Text(text=pattern).missed(Seen(texts=["five", "six", "\udcff"]))
    assert missed == ("" if there else f"no line matches {pattern!r}")


@pytest.mark.parametrize("pattern", ["(", "a{99999999999}", "(" * 3000 + ")" * 3000])
def test_what_cannot_be_read_is_a_mistake_in_the_file(pattern: str) -> None:
    assert Text(text=pattern).fault().startswith("not a regular expression: ")


def test_a_search_that_did_not_end_is_no_mistake_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a host that is busy when the show is read, the text may be there all the same."""
    path = tmp_path / "s.yaml"
    text = "{id: a, kind: slide, title: A, markdown: hello world, expect: [{text: 'hello.*world'}]}"
    path.write_text(f"schema: 1\ntitle: T\nbeats:\n  - {text}\n")
    monkeypatch.setattr(matching, "LONGEST_S", 0.0)
    assert show_file.load(path).beats[0].expect
    monkeypatch.undo()
    path.write_text(path.read_text().replace("hello.*world", "hello.*there"))
    with pytest.raises(ConfigError, match=r"nothing in the markdown matches 'hello\.\*there'"):
        show_file.load(path)
