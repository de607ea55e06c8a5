"""The speaker's terminal in a real terminal: tmux sends the keys and reads the screen."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.recorded_show import records
from tests.support import run_lab

pytestmark = pytest.mark.contract
STARTS_S = 30.0
REACTS_S = 10.0  # the machine of the tests may be busy; tests/bench measures how long it takes


class Terminal:
    """`lab replay` of the recorded show, or another program, in a tmux of its own."""

    def __init__(self, place: Path, *options: str, program: str = "") -> None:
        tmux = shutil.which("tmux")
        assert tmux, "tmux is not installed: the terminal cannot be looked at"
        self.base = [tmux, "-f", "/dev/null", "-S", str(place / "tmux")]
        recording = place / "show.jsonl"
        recording.write_text("".join(json.dumps(record.to_json()) + "\n" for record in records()), encoding="utf-8")
        program = (
            program
            or f"{sys.executable} -m lab replay {recording} --home {place / 'home'} --no-browser {' '.join(options)}"
        )
        self.tmux("new-session", "-d", "-x", "80", "-y", "24", f"{program}; echo ended with $?; sleep 600")

    def tmux(self, *argv: str) -> str:
        env = {**os.environ, "TERM": "xterm-256color"}
        return subprocess.run([*self.base, *argv], env=env, check=True, capture_output=True, text=True).stdout

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tmux("send-keys", key)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def shows(self, *wanted: str, within_s: float = REACTS_S) -> str:
        return self.until(lambda screen: all(text in screen for text in wanted), within_s)

    def until(self, seen: Callable[[str], bool], within_s: float = REACTS_S) -> str:
        limit = time.monotonic() + within_s
        while not seen(screen := self.screen()):
            assert time.monotonic() < limit, screen
            time.sleep(0.03)
        return screen

    def close(self) -> None:
        self.tmux("kill-server")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    yield made
    made.close()


def test_it_is_driven_by_keys_at_80_by_24(terminal: Terminal) -> None:
    # the beat has ended: within it the key would only lead to its end
    screen = terminal.shows("1/9 One service", "SECRET note of welcome", "seen as it must be", within_s=STARTS_S)
    for wanted in (
        "next: The same request",
        "RECORDED 2026-11-20",
        "of 8:00",
        "must be seen: 10 spans",
        "for 5 min leave out 8, 9",
        "space next",
    ):
        assert wanted in screen
    terminal.press("Space")
    terminal.shows("2/9 The same request", "SECRET note of request")
    terminal.press("PPage")
    terminal.shows("1/9 One service")
    terminal.press("5", "Enter")
    terminal.shows("5/9 What it costs", "ebpf: ")
    terminal.press("NPage")  # to the end of the beat
    screen = terminal.shows("✕ OFF", "△ A BIT OFF", "● ON", "SAY: The laptop was busy", "noisy host: steal 14 %")
    assert screen.index("OFF") < screen.index("ON"), "the worst value comes first"
    terminal.press("b")
    terminal.shows("THE PAGE IS BLACK")
    terminal.press("b")
    terminal.until(lambda screen: "BLACK" not in screen)
    terminal.press("p")
    terminal.shows("panic: this is a recording")
    terminal.press("q")
    terminal.shows("q again: end the show")
    terminal.press("q")
    terminal.shows("ended with 0")


def test_one_screen_shows_nothing_private(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "--single-screen")
    try:
        terminal.shows("1/9 One service", within_s=STARTS_S)
        terminal.press("5", "Enter", "NPage")
        screen = terminal.shows("5/9 What it costs", "SAY: The laptop was busy")
        for private in ("SECRET", "must be seen", "steal", "health", "cuts:"):
            assert private not in screen
    finally:
        terminal.close()


def test_it_fits_a_bigger_terminal_and_ctrl_c_ends_it(terminal: Terminal) -> None:
    terminal.shows("1/9 One service", within_s=STARTS_S)
    terminal.tmux("resize-window", "-x", "140", "-y", "45")
    screen = terminal.shows("b black · ! shell · q q end", "9  Your questions")
    assert "health: no machine" in screen
    assert "page: http://127.0.0.1:" in screen, "no browser shows it yet: this is how to open it"
    terminal.press("C-c")
    terminal.shows("ended with")


SLIDES = """
schema: 1
name: slides
title: Slides
forms: [baseline]
slot_min: 2
beats:
  - {id: one, kind: slide, title: One, markdown: a}
  - {id: two, kind: slide, title: Two, markdown: b}
"""


def test_a_show_that_no_key_can_reach_goes_on_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "slides.yaml").write_text(SLIDES)
    ran = run_lab("show", str(tmp_path / "slides.yaml"), "--plain", "--no-browser", home=tmp_path / "home")
    assert ran.code == 0, ran.stderr
    assert "no key can come" in ran.stdout
    assert "passed, passed" in ran.stdout


def test_a_shell_between_two_beats_gives_the_terminal_back(tmp_path: Path) -> None:
    (tmp_path / "slides.yaml").write_text(SLIDES)
    show = f"show {tmp_path / 'slides.yaml'} --home {tmp_path / 'home'} --no-browser"
    terminal = Terminal(tmp_path, program=f"SHELL=/bin/sh {sys.executable} -m lab {show}")
    try:
        terminal.shows("1/2 One", "seen as it must be", within_s=STARTS_S)
        for _ in range(2):
            terminal.press("!")
            terminal.until(lambda screen: "1/2 One" not in screen)
            terminal.tmux("send-keys", "echo in the shell: $((40 + 2))", "Enter")
            terminal.shows("in the shell: 42")
            terminal.tmux("send-keys", "exit", "Enter")
            terminal.shows("1/2 One")
        terminal.press("Space")
        terminal.shows("2/2 Two", "seen as it must be")
        terminal.press("q", "q")
        terminal.shows("ended with 0")
    finally:
        terminal.close()


def test_a_laptop_that_stood_still_is_reported(tmp_path: Path) -> None:
    (tmp_path / "slides.yaml").write_text(SLIDES)
    argv = [sys.executable, "-m", "lab", "show", str(tmp_path / "slides.yaml"), "--json", "--no-browser"]
    env = {**os.environ, "LAB_HOME": str(tmp_path / "home")}
    with subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        next(line for line in child.stdout if "BeatEnded" in line)
        child.send_signal(signal.SIGSTOP)
        time.sleep(8)
        child.send_signal(signal.SIGCONT)
        told = next(line for line in child.stdout if "press r" in line)
        assert "lab was stopped for" in told
        child.stdin.write("next\nnext\n")
        child.stdin.close()
        assert '"passed", "passed"' in child.stdout.read()
