"""What a process wrote before it ended, short enough for a message."""

from __future__ import annotations

from lab.guest.linux.child import WORD_CHARS, last_lines


def test_a_panic_is_shown_from_its_first_line() -> None:
    stack = "".join(f"main.f{i}(...)\n\t/src/main.go:{i}\n" for i in range(50))
    text = "listening\npanic: runtime error: index out of range [1] with length 1\n\ngoroutine 1 [running]:\n" + stack
    assert last_lines(text).startswith("panic: runtime error: index out of range [1] with length 1 | goroutine 1")
    assert len(last_lines(text)) <= WORD_CHARS


def test_blank_lines_say_nothing() -> None:
    assert last_lines("\n\nfirst\r\n\n  second \n\n") == "first | second"
    assert last_lines(" \n") == ""


def test_one_endless_line_keeps_its_end() -> None:
    assert last_lines("x" * 10_000 + " the reason").endswith(" the reason")
