"""What is typed without the full terminal: one action for each key, however many came at once."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from typing import Any

import pytest

from lab.cli.stage import plain
from lab.stage.stream.keys import action_of


class Typed:
    """Standard input that has these bytes, then ends."""

    def __init__(self, data: bytes) -> None:
        self.read_end, write_end = os.pipe()
        os.write(write_end, data)
        os.close(write_end)

    def fileno(self) -> int:
        return self.read_end


@pytest.mark.skipif(os.name != "posix", reason="Windows reads lines")
@pytest.mark.parametrize(
    ("typed", "actions"),
    [
        (b"\x1b[6~", ["next"]),
        (b"\x1b[6~\x1b[6~\x1b[5~", ["next", "next", "back"]),
        (b"\x1b[C\x1b[C", ["next", "next"]),
        (b"\x1b[3~", []),  # Delete
        (b"\x1b[15;2~", []),  # Shift+F5
        (b"\x1bOC", []),
        (b"P r", ["panic", "next", "retry"]),
        (b"3", ["jump 2"]),
        (b"\x1b", []),
        (b"b" + 8 * b"\x1b[6~", ["curtain", *8 * ["next"]]),  # longer than what one read took
    ],
)
def test_each_key_is_one_action(monkeypatch: pytest.MonkeyPatch, typed: bytes, actions: list[str]) -> None:
    given: list[str] = []
    stdin: Any = Typed(typed)
    monkeypatch.setattr(sys, "stdin", stdin)
    plain._keys(lambda action, argument: given.append(f"{action} {argument}".strip()), threading.Event())
    os.close(stdin.fileno())
    assert given == actions


@pytest.mark.skipif(os.name != "posix", reason="Windows reads lines")
def test_a_key_that_comes_in_two_reads_is_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """As over a slow SSH connection: the rest of Page Down is no number of a beat."""
    given: list[str] = []
    read_end, write_end = os.pipe()
    stdin: Any = io.FileIO(read_end)
    monkeypatch.setattr(sys, "stdin", stdin)
    end = threading.Event()
    keys = threading.Thread(target=plain._keys, args=(lambda action, _: given.append(action), end))
    keys.start()
    for part in (b" \x1b", b"[", b"6~"):
        os.write(write_end, part)
        time.sleep(0.03)
    os.close(write_end)
    keys.join(5)
    stdin.close()
    assert given == ["next", "next"]


def test_each_line_is_one_action(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(sys, "stdin", iter(["3\n", "next\n", "9" * 5000 + "\n", "\n", "r\n"]))
    plain._lines(lambda action, argument: given.append(f"{action} {argument}".strip()), threading.Event())
    assert given == ["jump 2", "next", "jump", "next", "retry"]


def test_a_letter_is_the_same_with_caps_lock() -> None:
    assert [action_of(key) for key in ("P", "p", "B")] == ["panic", "panic", "curtain"]
    assert [action_of(key) for key in ("PAGEDOWN", "PageDown")] == [None, "next"]


@pytest.mark.parametrize(
    ("typed", "actions"),
    [
        (b"2\njump 2\n", ["jump 1", "jump 1"]),
        (b"9" * 5000 + b"\nnext\n", ["jump", "next"]),
        (b"jump 9999999999\njump\njump x\nnext\n", ["jump", "jump", "jump", "next"]),
        (b"\xff\xfe\nnext\n", ["\ufffd\ufffd", "next"]),
    ],
)
def test_lines_of_a_pipe(monkeypatch: pytest.MonkeyPatch, typed: bytes, actions: list[str]) -> None:
    """No line ends the keyboard: no key would work any more."""
    done: list[str] = []
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed), encoding="utf-8"))
    plain._lines(lambda action, argument: done.append(f"{action} {argument}".strip()), threading.Event())
    assert done == actions
