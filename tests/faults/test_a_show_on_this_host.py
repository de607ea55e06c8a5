"""A show on this very Linux: rehearsed, then played while its processes are killed and stopped. It always goes on."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.faults.conftest import homes
from tests.support import ROOT, run_lab

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
NAME = "native"
SHOW = """
schema: 1
name: small
title: Small
forms: [baseline, twin]
slot_min: 2
beats:
  - {id: kernel, kind: command, title: Linux, on: machine, argv: [uname, -s], expect: [{text: Linux}]}
  - {id: ask, kind: request, title: Ask, budget_s: 20, again: true}
  - {id: duet, kind: load, title: Duet, load_s: 3, rate_rps: 20, budget_s: 9, again: true, else: take}
  - {id: close, kind: slide, title: Close, markdown: done}
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    yield from homes()


@pytest.fixture(scope="module")
def show(home: Path) -> Iterator[Path]:
    path = home / "small.yaml"
    path.write_text(SHOW)
    try:
        ran = run_lab("rehearse", str(path), "-n", "1", "--name", NAME, "--provider", "local", home=home, limit_s=280)
        assert ran.code == 0, ran.stdout + ran.stderr
        assert "1 of 1 rehearsals were clean" in ran.stdout
        yield path
    finally:
        run_lab("down", NAME, home=home)


class Stage:
    """`lab show` with its records as lines of JSON; keys are lines of its input."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.child = child
        self.seen: list[dict[str, Any]] = []

    def press(self, line: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def until(self, event: str, **data: Any) -> dict[str, Any]:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            doc = json.loads(line)
            self.seen.append(doc)
            if doc.get("event") == event and all(doc["data"].get(key) == value for key, value in data.items()):
                found: dict[str, Any] = doc["data"]
                return found
        raise AssertionError(f"no {event} {data}: {self.seen[-8:]}")


@contextlib.contextmanager
def staged(home: Path, show: Path) -> Iterator[Stage]:
    argv = [sys.executable, "-m", "lab", "show", str(show), "--name", NAME, "--no-browser", "--json"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LAB_")}
    environment = {**clean, "LAB_HOME": str(home), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, env=environment, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True) as child:
        try:
            yield Stage(child)
        finally:
            child.terminate()
            child.wait(20)


def standby(home: Path) -> psutil.Process:
    record = json.loads((home / "machines" / NAME / "standby.json").read_text(encoding="utf-8"))
    return psutil.Process(record["pid"])


def below(home: Path, word: str) -> psutil.Process:
    """The process of that name which the standby process runs."""
    for process in standby(home).children(recursive=True):
        if word in " ".join(process.cmdline()[:3]):
            return process
    raise AssertionError([process.cmdline() for process in standby(home).children(recursive=True)])


def go_to_duet(stage: Stage) -> None:
    for beat in (0, 1):
        assert stage.until("BeatEnded", beat=beat)["outcome"] == "passed", stage.seen
        stage.press("next")
    stage.until("Window", form="baseline")


def test_go(home: Path, show: Path) -> None:
    ran = run_lab("show", str(show), "--check", "--name", NAME, "--json", home=home)
    assert json.loads(ran.stdout)["check"] == "GO", ran.stdout


def test_a_second_show_on_the_same_machine_is_refused(home: Path, show: Path) -> None:
    with staged(home, show) as stage:
        stage.until("BeatEnded", beat=0)
        ran = run_lab("show", str(show), "--name", NAME, "--no-browser", home=home)
        assert ran.code == 8
        assert "the stage of machine native is in use" in ran.stderr


def test_a_generator_that_hangs_ends_with_the_budget_and_the_take_follows(home: Path, show: Path) -> None:
    with staged(home, show) as stage:
        go_to_duet(stage)
        generator = below(home, "/load")
        generator.suspend()
        began = time.monotonic()
        assert stage.until("BeatEnded", beat=2)["outcome"] == "missed"
        assert time.monotonic() - began < 12
        assert stage.until("BeatStarted", beat=2)["recorded"]
        assert stage.until("BeatEnded", beat=2)["outcome"] == "recorded"
        with contextlib.suppress(psutil.NoSuchProcess):
            generator.resume()
        stage.press("retry")
        assert stage.until("BeatEnded", beat=2)["outcome"] == "passed"


def test_a_service_that_is_killed_is_named_and_panic_starts_it_again(home: Path, show: Path) -> None:
    with staged(home, show) as stage:
        go_to_duet(stage)
        below(home, "/baseline").kill()
        ended = stage.until("BeatEnded", beat=2)
        assert ended["outcome"] == "failed"
        assert "the service of" in ended["reason"]
        stage.until("BeatEnded", beat=2, outcome="recorded")
        stage.press("panic")
        assert stage.until("BeatEnded", beat=2)["outcome"] == "passed", stage.seen[-20:]


def test_a_standby_process_that_is_killed_leaves_the_takes(home: Path, show: Path) -> None:
    with staged(home, show) as stage:
        go_to_duet(stage)
        standby(home).kill()
        assert stage.until("BeatEnded", beat=2)["outcome"] in ("failed", "missed")
        assert stage.until("BeatEnded", beat=2)["outcome"] == "recorded"
        stage.press("next")
        assert stage.until("BeatEnded", beat=3)["outcome"] == "passed"
        stage.press("next")
        stage.until("ShowEnded")


def test_another_seed_is_reported_and_a_rehearsal_starts_the_forms_with_it(home: Path, show: Path) -> None:
    """The last of this file: it leaves the forms on standby with the new seed."""
    again = run_lab("rehearse", str(show), "-n", "1", "--name", NAME, "--provider", "local", home=home, limit_s=280)
    assert again.code == 0, again.stdout + again.stderr  # the test above killed the forms on standby
    other = home / "other.yaml"
    other.write_text(SHOW.replace("slot_min: 2", "slot_min: 2\nseed: 5"))
    said = run_lab("show", str(other), "--check", "--name", NAME, home=home).stdout
    assert "its requests have seed 1, not 5; fix: lab rehearse" in said
    ran = run_lab("rehearse", str(other), "-n", "1", "--name", NAME, "--provider", "local", home=home, limit_s=280)
    assert ran.code == 0, ran.stdout + ran.stderr
    assert json.loads((home / "machines" / NAME / "standby.json").read_text(encoding="utf-8"))["seed"] == 5
    assert "have seed" not in run_lab("show", str(other), "--check", "--name", NAME, home=home).stdout
