"""Words shared by the views."""

from __future__ import annotations

from lab.render import words


def test_nothing_that_a_terminal_would_obey_is_left() -> None:
    told = "boot\x1b]0;owned\x07 \x1b[2J\x1b[31mred\x1b[0m\tok\nnext\x9b2J\x00 Größe \N{GRINNING FACE}"
    assert words.harmless(told) == "boot red\tok\nnext2J Größe \N{GRINNING FACE}"
