"""A show without a screen of its own: its events as lines, keys from the keyboard one by one or line by line."""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from lab.model.printed import harmless
from lab.render import jsonl
from lab.stage.page.public import all_without_home, shared, without_home
from lab.stage.speaker import words
from lab.stage.stream import events
from lab.stage.stream.keys import action_of, number_of
from lab.stage.stream.records import StageRecord

POLL_S: Final = 0.2
BACK_S: Final = 10.0  # a page that is loaded again is open by then
ESCAPES: Final = {
    "\x1b[C": "ArrowRight",
    "\x1b[D": "ArrowLeft",
    "\x1b[A": "ArrowUp",
    "\x1b[B": "ArrowDown",
    "\x1b[5~": "PageUp",
    "\x1b[6~": "PageDown",
    "\x1b[15~": "F5",
    "\r": "Enter",
    "\n": "Enter",
}
# a clicker that is pressed twice comes in one read, and a key without a meaning is no run of digits
ONE_KEY: Final = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O.)|.", re.DOTALL)
UNFINISHED: Final = re.compile(rb"(?:\x1b(?:\[[0-9;]*|O)?|[\xc2-\xf4][\x80-\xbf]{0,2})\Z")  # also half a letter
Act = Callable[[str, str], None]


class Lines:
    """Prints each record as a line; as JSON under --json. private: also what only the speaker may see."""

    def __init__(self, *, as_json: bool, private: bool = True) -> None:
        self._json = as_json
        self._private = private
        self._show: events.ShowStarted | None = None
        self._counted = False
        self._said = False  # the sentence of the likeliest cause, in this attempt

    def __call__(self, record: StageRecord) -> None:
        shown = record if self._private else shared(record)
        if shown is None:
            return
        if self._json:
            doc = shown.to_json()
            if sys.stdout is not None:
                print(jsonl.dumps(doc if self._private else all_without_home(doc), sys.stdout), flush=True)
            return
        for line in self._text(shown.event):
            text = harmless(line if self._private else without_home(line))
            print(f"{record.at_s:7.1f}  {text}", flush=True)

    def _text(self, event: events.StageEvent) -> list[str]:
        match event:
            case events.ShowStarted():
                self._show, self._counted = event, event.clock == "counted"
                lines = [f"{event.title}: {len(event.beats)} beats, {event.slot_s / 60:g} min, on {event.machine}"]
            case events.BeatStarted():
                self._said = False
                self._counted = (event.clock or (self._show.clock if self._show else "")) == "counted"
                how = f" RECORDED {event.recorded}" if event.recorded else ""
                again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
                title = self._show.beats[event.beat].title if self._show else ""
                lines = [f"== {event.beat + 1}. {title}{again}{how}"]
            case events.Cause():
                lines = self._cause(event)
            case events.BeatEnded():
                why = f": {event.reason}" if event.reason else ""
                lines = [f"-- {event.outcome} after {event.seconds:.1f} s{why}"]
            case (
                events.Slide(markdown=text) | events.Line(text=text) | events.Notes(text=text) | events.Woven(diff=text)
            ):
                lines = text.splitlines()
            case events.Remark():
                lines = [f"{'!' if event.level == 'warning' else '>'} {event.text}"]
            case events.ShowEnded():
                lines = [f"the show ended after {event.seconds:.0f} s: {', '.join(event.outcomes)}"]
            case _:
                lines = words.lines(event, counted=self._counted)
        return lines

    def _cause(self, event: events.Cause) -> list[str]:
        """One sentence is said, the likeliest cause's. What it rests on is not for an audience."""
        said, self._said = self._said, True
        if said:
            return [words.other_cause(event)] if self._private else []
        return words.lines(event, counted=self._counted)[0 if self._private else 1 :]


@contextlib.contextmanager
def keyboard(act: Act, views: Callable[[], int], page_s: float) -> Iterator[None]:
    """Send what is typed to `act` while the block runs: single keys of a terminal, else an action or a key a line.

    When the input has ended, keys come from the page: one that is open, is within `page_s`, or is again within BACK_S.
    Without it the show goes on alone.
    """
    end = threading.Event()
    single = sys.stdin is not None and sys.stdin.isatty() and os.name == "posix"

    def read() -> None:
        (_keys if single else _lines)(act, end)
        ends = time.monotonic() + page_s
        while not end.is_set():
            if views():
                ends = time.monotonic() + BACK_S
            elif time.monotonic() >= ends:
                act("alone", "")
                return
            end.wait(POLL_S)

    threading.Thread(target=read, name="keyboard", daemon=True).start()
    with _raw() if single else contextlib.nullcontext():
        try:
            yield
        finally:
            end.set()


def _lines(act: Act, end: threading.Event) -> None:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # what is no text is no key either, and the next line may be one
    for line in sys.stdin or ():
        if end.is_set():
            return
        word, _, argument = line.strip("\n").partition(" ")
        number = argument if word == "jump" else word
        if word == "jump" or word.isdecimal():
            act("jump", _beat(number))
        else:
            act(action_of(word or " ") or action_of(line.strip("\n")) or word, argument)


def _beat(typed: str) -> str:
    """The beat of a typed number, which counts from 1, as the show takes it: from 0."""
    number = number_of(typed.strip())
    return "" if number is None else str(number - 1)


def _keys(act: Act, end: threading.Event) -> None:
    fd = sys.stdin.fileno()
    begun = b""  # a key whose other bytes come with the next read, if they come at once
    while not end.is_set():
        more = select.select([fd], [], [], POLL_S)[0]
        if not more and not begun:
            continue
        read = os.read(fd, 1024) if more else b""
        if more and not read:
            return
        typed, begun = begun + read, b""
        if more and (cut := UNFINISHED.search(typed)):
            typed, begun = typed[: cut.start()], typed[cut.start() :]
        for key in ONE_KEY.findall(typed.decode("utf-8", "replace")):
            action = action_of(ESCAPES.get(key, key))
            if key.isdecimal() and key != "0":
                act("jump", _beat(key))
            elif action is not None:
                act(action, "")


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Keys without Enter, and without their echo; Ctrl-C stays a signal."""
    if sys.platform == "win32":  # keys come line by line there
        yield
        return
    import termios
    import tty

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
