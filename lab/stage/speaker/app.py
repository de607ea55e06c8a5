"""The speaker's terminal, drawn by Textual. Imported when a show is on, not before."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

from textual import events as terminal
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from lab.stage.speaker.desk import Desk
from lab.stage.speaker.room import fitted, shortened
from lab.stage.speaker.words import Line
from lab.stage.stream.events import BeatStarted, Notes, Remark
from lab.stage.stream.keys import action_of
from lab.stage.stream.records import Stage, StageRecord
from lab.system import proc

# Textual's names of keys -> those of a browser, which the table of keys has
NAMES: Final = {
    "pagedown": "PageDown",
    "pageup": "PageUp",
    "right": "ArrowRight",
    "left": "ArrowLeft",
    "up": "ArrowUp",
    "down": "ArrowDown",
    "space": " ",
    "enter": "Enter",
    "f5": "F5",
}
HELP: Final = "space next · PgUp back · r retry · t take · k skip · p panic · s standby · b black · ! shell · q q end"
TICK_S: Final = 0.25
FRAME_S: Final = 0.02  # records that come together are drawn together
TWICE_S: Final = 2.0
MARKS: Final = 2  # lines of what must not be overlooked, and of a remark
ONE_LINE: Final = frozenset({"title", "clock", "help"})  # cut at their end instead
PANE: Final[Line] = (("\n\n", ""),)  # the least that notes take: two lines of a frame, and one between them


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """How the terminal is used. single: it is mirrored to the audience, so nothing private is on it."""

    single: bool = False
    address: Callable[[], str] = lambda: ""


class Speaker(App[None]):
    """Draws a show and sends its keys. `perform` runs both the show and the terminal until the show ends."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; padding: 0 1; overflow: hidden; }
    Static { height: auto; }
    #clock { text-style: bold; }
    #notes { height: 1fr; min-height: 3; border-top: solid $panel; border-bottom: solid $panel; }
    #help { color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    .one { text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "leave", priority=True, show=False),
        Binding("ctrl+q", "leave", priority=True, show=False),
    ]

    def __init__(self, stage: Stage, screen: Screen, *, cancel: threading.Event) -> None:
        super().__init__()
        self._stage = stage
        self._how = screen
        self._cancel = cancel
        self._desk = Desk()
        self._zero_s = time.monotonic()
        self._dirty = False
        self._drawn_s = 0.0
        self._shown: dict[str, list[Line]] = {}  # by widget: what is the same is not laid out again
        self._typed = ""
        self._stop_s = 0.0
        self._failed: BaseException | None = None
        self._loop_ready = threading.Event()

    # the show's side: any thread

    def perform(self, show: Callable[[], object]) -> None:
        """Run the terminal here and `show` in a thread beside it. Raises what `show` raised, once both have ended."""
        player = threading.Thread(target=self._play, args=(show,), name="show")
        player.start()
        try:
            self.run(mouse=False)
        finally:
            self._cancel.set() if player.is_alive() else None
            player.join()
        if self._failed is not None:
            raise self._failed

    def _play(self, show: Callable[[], object]) -> None:
        self._loop_ready.wait()
        try:
            show()
        except BaseException as error:  # noqa: BLE001 - raised by `perform`, in the main thread
            self._failed = error
        self._in_loop(self.exit)

    def suspended(self, argv: Sequence[str]) -> None:
        """Hand the terminal to a program (a shell, when none is named) until it ends."""
        done = threading.Event()
        self._in_loop(lambda: self._hand_over(list(argv), done))
        done.wait()

    def _hand_over(self, argv: list[str], done: threading.Event) -> None:
        try:
            with self.suspend():
                proc.passthrough(argv or [os.environ.get("SHELL") or os.environ.get("COMSPEC") or "/bin/sh"])
        except OSError as error:
            self._remark(Remark(text=f"no shell: {error}", level="warning"))
        finally:
            done.set()
            self._draw()

    def _in_loop(self, what: Callable[[], object]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(what)

    def _heard(self, record: StageRecord) -> None:
        self._in_loop(lambda: self._note(record))

    # the terminal's side: its own thread

    def compose(self) -> ComposeResult:
        """Top: where and when. Middle: notes. Below: what is seen, why, what comes."""
        yield Static(id="title", classes="one")
        yield Static(id="clock", classes="one")
        yield Static(id="marks")
        with VerticalScroll(id="notes", can_focus=False):
            yield Static(id="said")
        yield Static(id="beats")
        yield Static(id="seen")
        yield Static(id="next")
        yield Static(id="remarks")
        yield Static(id="help")

    def on_mount(self) -> None:
        self._leave_stage = self._stage.subscribe(self._heard)
        self.set_interval(TICK_S, self._draw)
        self._loop_ready.set()

    def on_unmount(self) -> None:
        self._leave_stage()

    def on_resize(self) -> None:
        self._draw()

    def on_key(self, key: terminal.Key) -> None:
        """One table for the terminal and for the page. A number and Enter jump to that beat."""
        key.stop()
        name = NAMES.get(key.key, key.character or key.key)
        if name.isdecimal() and key.character:
            self._typed = (self._typed + name)[-3:]
        elif self._typed and name == "Enter":
            self._stage.act("jump", str(int(self._typed) - 1))
            self._typed = ""
        elif name in {"[", "]"}:
            self.query_one("#notes").scroll_relative(y=3 if name == "]" else -3, animate=False)
        elif (action := action_of(name)) is not None:
            self._typed = ""  # a digit by mistake
            self._act(action)
        self._draw()

    def _act(self, action: str) -> None:
        if action == "stop" and time.monotonic() - self._stop_s > TWICE_S:
            self._stop_s = time.monotonic()
            self._remark(Remark(text="q again: end the show", level="warning"))
        elif action == "fullscreen":
            self._remark(Remark(text="full screen is a key of the page: click on it first"))
        else:
            self._stage.act(action)

    def _remark(self, remark: Remark) -> None:
        self._desk.remarks.add(remark, self._now_s())

    def _now_s(self) -> float:
        return time.monotonic() - self._zero_s

    def action_leave(self) -> None:
        """Ctrl-C: ends the show; machine and takes stay complete."""
        self._cancel.set()
        self._remark(Remark(text="ending the show …", level="warning"))
        self._draw()

    def _note(self, record: StageRecord) -> None:
        self._zero_s = min(self._zero_s, time.monotonic() - record.at_s)
        self._desk.note(record)
        if isinstance(record.event, Notes | BeatStarted):
            self.query_one("#notes").scroll_home(animate=False)
        if time.monotonic() - self._drawn_s > FRAME_S:
            self._draw()
        elif not self._dirty:
            self._dirty = True
            asyncio.get_running_loop().call_later(FRAME_S, self._draw)  # a timer of Textual's waits for its next tick

    def _draw(self) -> None:
        if not self.is_running:  # a record that came while the terminal was being given back
            return
        self._dirty, self._drawn_s = False, time.monotonic()
        blocks = fitted(self._blocks(), self._high, self.size.height)
        self._desk.remarks.seen(self._now_s(), len(blocks["remarks"]) - bool(self._typed))
        self.query_one("#notes").display = bool(blocks["notes"])
        for name in ("title", "clock", "marks", "beats", "next", "remarks", "help"):
            self._show(name, blocks[name])
        notes = self._desk.notes.text if self._desk.notes is not None and not self._how.single else ""
        wanted = [] if self._how.single else self._desk.wanted()
        self._show("said", [((line, ""),) for line in notes.splitlines()] + wanted)
        self._show("seen", [line for name in ("seen", "why", "say", "others") for line in blocks[name]])

    def _blocks(self) -> dict[str, list[Line]]:
        """All that could be shown, from top to bottom."""
        desk, private, tall = self._desk, not self._how.single, self.size.height >= 30
        marks = desk.marks(private=private, fits=lambda line: self._high("marks", line) <= MARKS)
        # of one that is open already where there is room: another browser needs the address that is valid now
        address = self._how.address() if desk.health is not None and (tall or not desk.health.views) else ""
        page: list[Line] = [(("page: ", "$text-muted"), (address, ""))] if address else []
        typed: list[Line] = [((f"jump to beat {self._typed}: Enter", "bold"),)] if self._typed else []
        return {
            "title": [desk.title()],
            "clock": [desk.clock(self._now_s())],
            "marks": [marks] if marks else [],
            "notes": [PANE],
            "beats": desk.all_beats() if self.size.height >= 24 + len(desk.cards) + 4 else [],
            "seen": desk.shown(8 if tall else 4),
            "why": desk.why(private=private),
            "say": desk.say(),
            "others": desk.others(2) if tall and private else [],
            "next": [desk.upcoming(), desk.ladder(), desk.state(), *page] if private else [desk.upcoming()],
            "remarks": typed + (self._remarked(3 if tall else 1) if private else []),
            "help": [((HELP, ""),)],
        }

    def _remarked(self, most: int) -> list[Line]:
        short = partial(shortened, fits=lambda text: self._high("remarks", ((text, ""),)) <= MARKS)
        return [
            ((short(one.text), "$text-warning" if one.level == "warning" else "$text-muted"),)
            for one in self._desk.remarks.newest(self._now_s(), most)
        ]

    def _high(self, name: str, line: Line) -> int:
        width = max(1, self.size.width - 2)  # the screen's padding
        return 1 if name in ONE_LINE else len(Content.assemble(*line).wrap(width))

    def _show(self, name: str, lines: Sequence[Line]) -> None:
        told = list(lines)
        if self._shown.get(name) == told:
            return
        self._shown[name] = told
        widget = self.query_one(f"#{name}", Static)
        widget.display = bool(lines) or name == "said"
        widget.update(Content("\n").join(Content.assemble(*line) for line in lines))
