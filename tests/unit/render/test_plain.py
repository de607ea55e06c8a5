"""Plain lines: what a log of CI keeps."""

from __future__ import annotations

import io
import re
import time

import pytest

from lab.model.events import Progress, StepStarted
from lab.render import plain
from lab.render.plain import Plain
from tests.unit.render.records import record, story


def lines(**how: bool) -> list[str]:
    """What the view writes of the story, without the times in front."""
    stream = io.StringIO()
    with Plain(stream=stream, **how) as view:
        for each in story():
            view(each)
    said = stream.getvalue().splitlines()
    assert all(re.match(r"\[ +\d+\.\ds\] ", line) for line in said)
    return [line.partition("] ")[2] for line in said]


def test_a_story_in_lines() -> None:
    assert lines() == [
        "[1/2] demo [shop] …",
        "bake the image …",
        "info: from the cache",
        "warning: no [kvm]",
        "  fail  qemu: missing — fix: apt [x]",
        "  0-0-ebpf: INVALID: late [sends]",
        "bake the image: ok (3 min 05 s) — kept",
        "demo [shop]: FAILED (7.1 s) — no [run]",
    ]


def test_verbose_adds_what_tools_say_and_checks_that_passed() -> None:
    assert [line for line in lines(verbose=True) if line not in lines()] == [
        "  | unpacking [bold]",
        "  ok    disk: enough",
    ]


def test_quiet_keeps_warnings_and_failures() -> None:
    assert lines(quiet=True) == [
        "warning: no [kvm]",
        "  fail  qemu: missing — fix: apt [x]",
        "demo [shop]: FAILED (7.1 s) — no [run]",
    ]


def test_a_silent_step_has_a_heartbeat_with_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "HEARTBEAT_S", 0.2)
    stream = io.StringIO()
    with Plain(stream=stream) as view:
        view(record(StepStarted(name="bake", title="bake")))
        view(record(Progress(name="bake", done=12, total=40, unit="packages")))
        until = time.monotonic() + 30
        while "packages" not in stream.getvalue() and time.monotonic() < until:
            time.sleep(0.05)
    assert re.search(r"\] … bake: \d+\.\d s, 12 of 40 packages\n", stream.getvalue())


def test_the_heartbeat_of_a_long_step_tells_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "HEARTBEAT_S", 0.2)
    stream = io.StringIO()
    with Plain(stream=stream) as view:
        view(record(StepStarted(name="run", title="demo")))
        time.sleep(0.5)
        view(record(Progress(name="run", done=1, total=201, unit="cells")))
        until = time.monotonic() + 30
        while "left" not in stream.getvalue() and time.monotonic() < until:
            time.sleep(0.05)
    assert re.search(r"demo: \d+\.\d s, 1 of 201 cells, about (\d+ s|\d+ min( \d\d s)?) left\n", stream.getvalue())


def test_nothing_beats_when_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "HEARTBEAT_S", 0.0)
    stream = io.StringIO()
    with Plain(stream=stream):
        time.sleep(1.3)
    assert stream.getvalue() == ""
