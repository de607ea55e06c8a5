"""What a key means at a place in the show: pure functions, one for a beat that plays and one for a beat that ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lab.stage.show.show import Beat
from lab.stage.stream.events import Outcome
from lab.stage.stream.keys import number_of

SHOWN: Final = ("passed", "recorded")  # the audience has seen the beat


def kept(before: Outcome | None, now: Outcome) -> Outcome:
    """The outcome of a beat after one more attempt, which takes nothing from a good one."""
    if before is None or (before != "passed" and (now in SHOWN or before not in SHOWN)):
        return now
    return before


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """An action of `lab.stage.stream.keys`, `jump` to a beat, or `play`: the present beat, from its beginning."""

    action: str
    argument: str = ""


PLAY: Final = Move(action="play")
# what is done while a shell is open between two beats: nobody looks at the speaker's screen then
BEHIND_A_SHELL: Final = ("curtain", "stop", "panic", "alone", "shell", "woke", "fullscreen")
Outcomes = Mapping[int, Outcome]


def after(asked: Move, at: int, beats: Sequence[Beat], outcomes: Outcomes) -> tuple[int, Move] | str | None:
    """(beat, how it is played) for a key after a beat ended; None: the show ends; a text: why the key does nothing."""
    match asked.action:
        case "stop":
            return None
        case "next" | "skip":
            return (at + 1, PLAY) if at + 1 < len(beats) else None
        case "back" | "retry" | "jump":
            to = _target(asked, at)
            refusal = _refusal(to, at, beats, outcomes)
            return refusal if refusal or to is None else (to, PLAY)
        case "recorded" | "panic" | "standby":
            return at, asked
    return f"no key of a show is called {asked.action!r}"


def while_played(asked: Move, at: int, beats: Sequence[Beat], outcomes: Outcomes, *, left: bool) -> tuple[bool, str]:
    """(whether it ends the beat that plays, what the speaker hears). left: `next` was pressed in this beat before."""
    match asked.action:
        case "next":
            return left, "" if left else "the show goes on when this beat ends; next again: leave it now"
        case "back" | "jump" | "retry":
            refusal = _refusal(_target(asked, at), at, beats, outcomes)
            return not refusal, refusal
        case "skip" | "recorded" | "panic" | "standby" | "stop":
            return True, ""
    return False, f"no key of a show is called {asked.action!r}"


def may_play(at: int, beats: Sequence[Beat], outcomes: Outcomes) -> bool:
    """Whether a beat may be played now: one that the audience has seen only where it may be repeated."""
    return beats[at].again or outcomes.get(at, "") not in SHOWN


def _target(asked: Move, at: int) -> int | None:
    """The beat that a key means; None for what is not a number."""
    if asked.action == "jump":
        return number_of(asked.argument)
    return at - 1 if asked.action == "back" else at


def _refusal(to: int | None, at: int, beats: Sequence[Beat], outcomes: Outcomes) -> str:
    if to is None:
        return f"there is no such beat (beats: 1 to {len(beats)})"
    if not 0 <= to < len(beats):
        return "this is the first beat" if to == at - 1 else f"there is no beat {to + 1} (beats: 1 to {len(beats)})"
    if not may_play(to, beats, outcomes):
        return f"{beats[to].keys.title!r} may not be repeated: t plays its take"
    return ""
