"""A terminal on a mirrored screen shows nothing that is the speaker's, as lines and as records."""

from __future__ import annotations

import json

import pytest

from lab.cli.stage.plain import Lines
from lab.stage.page.public import HOME, without_home
from lab.stage.stream.events import BeatEnded, Cause, Line, Notes, Remark, RequestDone, Slide, StageEvent
from lab.stage.stream.records import StageRecord

SECRET = "host-of-mine"
PATH = f"{HOME}/talk"
SHOWN: tuple[StageEvent, ...] = (
    Notes(beat=0, text=SECRET, expects=()),
    Remark(text=SECRET),
    Line(at_ms=0.0, text=f"cannot read {PATH}"),
    Slide(at_ms=0.0, markdown="# hello"),
    RequestDone(at_ms=0.0, form="ebpf", number=1, wanted=1, seen=0, rows={}, reason=SECRET),
    Cause(at_ms=0.0, name="noisy host", evidence=SECRET, sentence="It was busy."),
    BeatEnded(beat=0, outcome="failed", seconds=1.0, reason=f"{SECRET}: {PATH}"),
)


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_the_speakers_is_not_printed(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    lines = Lines(as_json=as_json, private=False)
    for seq, event in enumerate(SHOWN, start=1):
        lines(StageRecord(seq=seq, at_s=0.0, event=event))
    out = capsys.readouterr().out
    assert SECRET not in out
    assert HOME not in out
    assert "cannot read ~/talk" in out
    if as_json:
        read = [StageRecord.from_json(json.loads(line)).event for line in out.splitlines()]
        assert read[1] == SHOWN[3], "it can be replayed"
    else:
        assert "-- failed after 1.0 s\n" in out


def test_only_the_home_folder_itself_becomes_a_tilde() -> None:
    assert without_home(f"{HOME}/talk, {HOME}: {HOME}") == "~/talk, ~: ~"
    others = f"{HOME}fs/x {HOME}-old /mnt{HOME}"
    assert without_home(others) == others
