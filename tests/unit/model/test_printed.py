"""What others wrote, as a terminal leaves it."""

from __future__ import annotations

import pytest

from lab.model.printed import harmless


def test_nothing_that_a_terminal_would_obey_is_left() -> None:
    told = "boot\x1b]0;owned\x07 \x1b[2J\x1b[31mred\x1b[0m\tok\nnext\x9b2J\x00 Größe \N{GRINNING FACE}"
    assert harmless(told) == "boot red\tok\nnext2J Größe \N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("plain\ttext\n\n  more ", "plain\ttext\n\n  more "),
        ("\x1b[1;31mred\x1b[m and \x1b(B\x1b[mback", "red and back"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\ \x1bP1$r\x1b\\end", "link end"),
        (" 10 %\r 50 %\r100 %\r", "100 %"),
        ("100 of 100\rdone", "doneof 100"),
        ("100 of 100\r\x1b[Kdone", "done"),
        ("100 of 100\x1b[2K\rdone", "done"),
        ("abc\x1b[1Kd", "   d"),
        ("|\b/\b-\b ok", " ok"),
        ("\b\bx", "x"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("\x1b\x1b[2J[2J\x1b", "[2J"),
    ],
)
def test_what_was_written_over_is_as_it_was_last(printed: str, shown: str) -> None:
    assert harmless(printed) == shown
    assert harmless(shown) == shown


def test_a_long_line_takes_no_time() -> None:
    assert harmless("\x1b[31m" + "x\r" * 200_000) == "x"
    assert harmless("\x1b]" * 200_000 + "y") == ""
