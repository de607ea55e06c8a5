"""How `lab show` and `lab replay` end: the exit code tells whether every beat showed what it must."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cli import session
from lab.model.paths import Paths
from lab.stage.history import takes
from lab.stage.history.inputs import Inputs, of_host
from lab.stage.show import show_file
from tests.unit.cli.conftest import Cli
from tests.unit.stage.scripted import a_take

SHOW = """
schema: 1
title: T
beats:
  - {id: one, kind: command, title: One, argv: [sh, -c, "exit 3"], else: take}
  - {id: two, kind: slide, title: Two, markdown: x}
"""


class Typed:
    """A keyboard that is not a terminal: these lines, then the end of the input."""

    def __init__(self, *lines: str) -> None:
        self._lines = lines

    def isatty(self) -> bool:
        return False

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)


def keep(home: Path, path: Path) -> None:
    """The take of the first beat, as a rehearsal of this file leaves it."""
    show = show_file.load(path)
    known = of_host(show).on(Inputs(show="", seed=0))
    take = dataclasses.replace(a_take("one"), show=show.name, machine="lab", inputs=known)
    takes.save(takes.folder(Paths(home=home), "lab", show.name), take)


def shown(lab_cli: Cli, monkeypatch: pytest.MonkeyPatch, text: str, *typed: str) -> tuple[int, str]:
    path = Path("s.yaml")
    path.write_text(text)
    keep(lab_cli.home, path)
    monkeypatch.setattr(sys, "stdin", Typed(*typed))
    done = lab_cli("show", "s.yaml", "--plain", "--no-browser")
    return done.code, done.stdout


def test_a_take_that_had_to_do_is_told_by_the_exit_code(lab_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = shown(lab_cli, monkeypatch, SHOW)
    assert "recorded, passed" in said
    assert code == 6


def test_a_second_attempt_that_passes_is_no_miss(lab_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    once = "test -e marker || { touch marker; exit 3; }"
    text = SHOW.replace("exit 3", f"cd {Path.cwd()}; {once}").replace("else: take", "else: retry")
    code, said = shown(lab_cli, monkeypatch, text)
    assert "passed, passed" in said
    assert code == 0


def test_a_take_that_a_key_asked_for_is_no_miss(lab_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = shown(lab_cli, monkeypatch, SHOW.replace("exit 3", "sleep 5"), "t\n")
    assert "recorded, passed" in said
    assert code == 0


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("verb", ["show", "replay"])
def test_a_signal_ends_it_with_its_exit_code(
    lab_cli: Cli, monkeypatch: pytest.MonkeyPatch, verb: str, number: signal.Signals
) -> None:
    path = Path("s.yaml")
    path.write_text(SHOW.replace("exit 3", "sleep 20"))
    keep(lab_cli.home, path)
    monkeypatch.setattr(session, "received", [])
    ended = threading.Event()

    class Silent(Typed):
        def __iter__(self) -> Iterator[str]:
            ended.wait(30)
            return iter(())

    monkeypatch.setattr(sys, "stdin", Silent())
    timer = threading.Timer(1.5, os.kill, (os.getpid(), number))
    timer.start()
    try:
        done = lab_cli(verb, "s.yaml", "--plain", "--no-browser")
    finally:
        timer.cancel()
        ended.set()
    assert done.code == 128 + number, done.stderr
    assert "was stopped on request" in done.stderr
