"""What a key or a clicker asks of a show: one table for the terminal and for the audience page."""

from __future__ import annotations

from typing import Final, Literal

Action = Literal[
    "next", "back", "retry", "recorded", "skip", "panic", "standby", "curtain", "fullscreen", "shell", "stop"
]
# names as a browser's KeyboardEvent.key has them; the terminal translates its own
KEYS: Final[dict[str, Action]] = {
    "PageDown": "next",  # what clickers send
    "PageUp": "back",
    "ArrowRight": "next",
    "ArrowDown": "next",
    "ArrowLeft": "back",
    "ArrowUp": "back",
    " ": "next",
    "Enter": "next",
    "b": "curtain",
    ".": "curtain",  # what some clickers send for black
    "f": "fullscreen",
    "F5": "fullscreen",
    "r": "retry",
    "t": "recorded",
    "k": "skip",
    "p": "panic",
    "s": "standby",
    "!": "shell",
    "q": "stop",
}


def action_of(name: str) -> Action | None:
    """What a key asks for. A letter is the same with Caps Lock: there is no time to look for it."""
    return KEYS.get(name.lower() if len(name) == 1 else name)


MOST_DIGITS: Final = 6  # Python refuses to read thousands of them, and no show has so many beats


def number_of(digits: str) -> int | None:
    """The number that was typed; None for what is none, and for one that is longer than any beat's."""
    return int(digits) if len(digits) <= MOST_DIGITS and digits.isdecimal() else None


# of the action `alone`, which no key has: views that can send no key any more
ALONE: Final = "standard input has ended and no page is open, so that no key can come: the show goes on by itself"
