"""JSON lines: what went in comes out, for a replay too."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from lab.model.events import Notice, Record
from lab.render import choose
from lab.render.jsonl import JsonLines
from lab.render.plain import Plain
from tests.support import ROOT
from tests.unit.render.records import record, story


def test_records_come_back_as_they_were() -> None:
    stream = io.StringIO()
    with JsonLines(stream) as view:
        for each in story():
            view(each)
    assert [Record.from_json(json.loads(line)) for line in stream.getvalue().splitlines()] == story()


def test_a_code_page_loses_no_character() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1252", errors="replace")
    JsonLines(stream)(record(Notice(level="info", text="✓ Žluťoučký")))
    stream.flush()
    assert Record.from_json(json.loads(raw.getvalue())).event == Notice(level="info", text="✓ Žluťoučký")


def test_a_replayed_log_draws_the_same_text() -> None:
    log = [json.dumps(each.to_json()) for each in story()]
    screens = []
    for records in (story(), [Record.from_json(json.loads(line)) for line in log]):
        stream = io.StringIO()
        with Plain(stream=stream) as view:
            for each in records:
                view(each)
        screens.append([line.partition("] ")[2] for line in stream.getvalue().splitlines()])
    assert screens[0] == screens[1]
    assert screens[0]


def test_a_reader_that_went_away_does_not_end_the_work() -> None:
    program = """
import sys
from lab.render.jsonl import JsonLines
from tests.unit.render.records import story
with JsonLines() as view:
    for n in range(3):
        for each in story():
            view(each)
    print("worked on", file=sys.stderr)
"""
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-c", program]
    ended = subprocess.run(argv, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, "worked on\n")


@pytest.mark.parametrize(
    ("json_lines", "plain", "quiet", "ci", "view"),
    [
        (True, True, True, "", "json"),
        (False, True, True, "", "quiet"),
        (False, True, False, "", "plain"),
        (False, False, False, "true", "plain"),
        (False, False, False, "", "rich"),
    ],
)
def test_which_view(
    monkeypatch: pytest.MonkeyPatch, json_lines: bool, plain: bool, quiet: bool, ci: str, view: str
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(sys, "stderr", Seen())
    assert choose(json=json_lines, plain=plain, quiet=quiet) == view


def test_a_pipe_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CI", "")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert choose(json=False, plain=False, quiet=False) == "plain"


class Seen(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True
