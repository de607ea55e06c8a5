"""The driver of a show: plays the beats one after the other, and takes keys from any view at any moment.

One thread (`run`) decides; each attempt of a beat has a thread of its own, so that a beat that hangs is left behind and
the next key is answered at once. Nothing that a beat does ends the show.
"""

from __future__ import annotations

import datetime as dt
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from lab.guest.wire.live import PartEnded
from lab.stage.play.attempt import Attempt, Played
from lab.stage.play.moves import BEHIND_A_SHELL, PLAY, SHOWN, Move, after, kept, may_play, while_played
from lab.stage.play.stand import Stand
from lab.stage.show.show import Beat
from lab.stage.stream.events import (
    BeatEnded,
    BeatStarted,
    Curtain,
    Notes,
    Outcome,
    Remark,
    ShowEnded,
    ShowStarted,
    StageEvent,
)
from lab.stage.stream.keys import ALONE
from lab.stage.stream.records import Score, StageRecord

POLL_S: Final = 0.1  # how soon Ctrl-C is noticed; a key is at once
WOKE: Final = Move(action="woke")  # the attempt is over
Pace = Literal["keys", "alone"]


@dataclass(slots=True, kw_only=True)
class Engine:
    """A show in progress. `act` and `subscribe` may be called from any thread.

    pace: "keys": waits for a key after each beat; "alone": goes on by itself.
    """

    stand: Stand
    beats: Sequence[Beat]
    slot_s: float
    source: Literal["live", "rehearsal"] = "live"
    pace: Pace = "keys"
    drill: Callable[[Beat], bool] = lambda _: False  # whether the take of a beat that passed is played too
    score: Score = field(default_factory=Score)
    first: list[Remark] = field(default_factory=list)  # what the speaker hears before the first beat
    at: int = 0
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    missed: set[int] = field(default_factory=set)  # beats that did not show what they must, nor in a later attempt
    cancelled: bool = False  # Ctrl-C ended the show
    stopped: bool = False  # it, or a key, or a beat that stops a show without keys ended it before its end
    _inbox: queue.SimpleQueue[Move] = field(default_factory=queue.SimpleQueue)
    _curtain: bool = False
    _left: bool = False  # `next` was pressed in the beat that plays
    _refused: bool = False  # the speaker has heard that the shell is to be left first

    def act(self, action: str, argument: str = "") -> None:
        """Do what a key asks for: an action of `lab.stage.stream.keys`, or `jump` with the number of a beat from 0."""
        self._inbox.put(Move(action=action, argument=argument))

    def subscribe(self, sink: Callable[[StageRecord], None]) -> Callable[[], None]:
        """Hand `sink` all records so far and each that comes, in order; returns what ends that."""
        return self.score.subscribe(sink)

    def emit(self, event: StageEvent) -> None:
        self.score.add(event)

    def run(self) -> tuple[str, ...]:
        """Play the show to its end; returns how each beat ended, "" for one that was not played."""
        self._start()
        began = time.monotonic()
        move: Move | None = PLAY
        try:
            while move is not None:
                move = self._beat(move)
        finally:
            told = tuple(self.outcomes.get(at, "") for at in range(len(self.beats)))
            self.emit(ShowEnded(seconds=round(time.monotonic() - began, 2), outcomes=told))
            self.stand.close()
        return told

    def _start(self) -> None:
        critic = self.stand.side.critic
        self.emit(
            ShowStarted(
                title=self.stand.show.keys.title,
                beats=tuple(replace(beat.card(), usual_s=critic.seconds(beat)) for beat in self.beats),
                slot_s=self.slot_s,
                cuts_min=tuple(map(float, self.stand.show.keys.cuts_min)),
                forms=self.stand.show.keys.forms,
                source=self.source,
                machine=self.stand.cast.machine,
                clock=self.stand.cast.clock,
                mechanisms={form.name: form.mechanism for form in self.stand.show.asked.forms},
                began=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            )
        )
        for remark in self.first:
            self.emit(remark)

    def _beat(self, move: Move) -> Move | None:
        """Play the present beat as `move` says; how the beat after it is played, None at the end of the show."""
        asked = self._play(move)
        while True:
            if asked is None:
                asked = self._next_move()
            found = after(asked, self.at, self.beats, self.outcomes)
            if found is None:
                self.stopped = asked.action == "stop"
                return None
            if not isinstance(found, str):
                self.at, then = found
                return then
            self.emit(Remark(text=found, level="warning"))
            asked = None

    def _play(self, move: Move) -> Move | None:
        """The present beat with its second attempt and its take; the key that ended it, None if it ended by itself."""
        beat = self.beats[self.at]
        self.emit(Notes(beat=self.at, text=beat.keys.notes, expects=tuple(one.told() for one in beat.expect)))
        self._left = False
        if move.action == "recorded":
            return self._take(beat)
        if move.action in ("panic", "standby"):
            panic = move.action == "panic"
            now = f"restoring machine {self.stand.cast.machine}" if panic else "making the second machine ready"
            self.emit(Remark(text=f"{now} …"))
            stood = self._wait_for(self._other(move))
            if stood.move is not None:
                return stood.move
            if stood.outcome != "passed" and self.outcomes.get(self.at) in SHOWN:
                return None  # nothing has changed that it would be played again for
            if not may_play(self.at, self.beats, self.outcomes) and move.action == "standby":
                return None
        played = Played()
        for number in (1, 2):
            attempt = self.stand.attempt(beat, self.emit, self._woke)
            cast = self.stand.cast
            self.emit(
                BeatStarted(beat=self.at, attempt=number, forms=beat.forms, machine=cast.machine, clock=cast.clock)
            )
            played = self._wait_for(attempt, beat)
            if played.move is None and played.outcome == "passed" and self.drill(beat):
                return self._take(beat)
            if played.move is not None or played.outcome == "passed":
                return played.move
            lost = any(isinstance(event, PartEnded) for event in attempt.scene.told)  # a second attempt has it no more
            if beat.keys.else_ != "retry" or self._left or lost or attempt.open_ended:
                break
        return self._otherwise(beat, played)

    def _other(self, move: Move) -> Attempt:
        if move.action == "panic":
            return self.stand.restoring(self.emit, self._woke)
        return self.stand.switching(self.emit, self._woke)

    def _otherwise(self, beat: Beat, played: Played) -> Move | None:
        """What is done when a beat did not show what it must."""
        match beat.keys.else_:
            case "retry" | "take":
                return self._take(beat)
            case "skip":
                return Move(action="next")
        if self.pace == "alone":
            return Move(action="stop")
        self._left = False  # what `next` was pressed for is not what came of the beat
        self.emit(Remark(text=f"the show waits for a key: {played.reason}", level="warning"))
        return None

    def _take(self, beat: Beat) -> Move | None:
        """The take of a beat, marked as such. Without one the beat stays as it is, and the speaker hears why."""
        take = self.stand.side.take_of(beat)
        if isinstance(take, str):
            self.emit(Remark(text=f"{beat.keys.title}: {take}", level="warning"))
            return None
        self.emit(
            BeatStarted(beat=self.at, recorded=take.day, forms=beat.forms, machine=take.machine, clock=take.clock)
        )
        return self._wait_for(self.stand.replay(take, self.emit, self._woke), beat).move

    def _wait_for(self, attempt: Attempt, beat: Beat | None = None) -> Played:
        """Let an attempt run until it is done, its budget ends, or a key ends it."""
        attempt.start()
        move: Move | None = None
        while move is None and not attempt.done and attempt.left_s() > 0:
            asked = self._asked(min(POLL_S, attempt.left_s()), playing=True)
            if asked is not None and self._ends(asked):
                move = asked
        played = attempt.end(move)
        self.stand.left(attempt)
        if beat is None:
            level: Literal["info", "warning"] = "info" if played.outcome == "passed" else "warning"
            self.emit(Remark(text=f"{attempt.name}: {played.reason}", level=level))
            return played
        self.outcomes[self.at] = kept(self.outcomes.get(self.at), played.outcome)
        for cause in self.stand.side.critic.causes(beat, attempt.scene) if attempt.good != "recorded" else ():
            self.emit(cause)
        reason = "" if played.outcome in SHOWN else played.reason
        self.emit(BeatEnded(beat=self.at, outcome=played.outcome, seconds=played.seconds, reason=reason))
        if played.outcome in ("missed", "failed"):
            self.missed.add(self.at)
        elif played.outcome == "passed":
            self.missed.discard(self.at)
        self.stand.on_ended(attempt, beat, played)
        return played

    def _ends(self, asked: Move) -> bool:
        """Whether a key ends the beat that plays; the speaker hears it where it does not."""
        ends, remark = while_played(asked, self.at, self.beats, self.outcomes, left=self._left)
        self._left = self._left or asked.action == "next"
        if remark:
            self.emit(Remark(text=remark))
        return ends

    def _next_move(self) -> Move:
        """What follows a beat that has ended by itself."""
        asked: Move | None = None
        while asked is None and not self._left and (self.pace == "keys" or self.stand.in_shell):
            asked = self._asked(POLL_S, playing=False)
        self._left = self._left and asked is not None
        return asked or Move(action="next")

    def _asked(self, seconds: float, *, playing: bool) -> Move | None:
        """The next key that is about beats; any other is answered here."""
        if self.stand.lab.cancel.is_set():
            self.cancelled = True
            return Move(action="stop")
        try:
            asked = self._inbox.get(timeout=seconds)
        except queue.Empty:
            return None
        if self.stand.in_shell and asked.action not in BEHIND_A_SHELL:  # kept, it would play what nobody presents
            if not self._refused:
                self._refused = True
                self.emit(Remark(text="a shell is open: leave it first", level="warning"))
            return None
        fault = self._fault(asked, playing=playing)
        if fault:
            self.emit(Remark(text=fault, level="warning"))
            return None
        match asked.action:
            case "woke" | "fullscreen":  # the latter is a matter of the page alone
                pass
            case "alone":
                self.pace = "alone"
                self.emit(Remark(text=ALONE, level="warning"))
            case "curtain":
                self._curtain = not self._curtain
                self.emit(Curtain(down=self._curtain))
            case "shell":
                self._refused = False
                self.stand.shell(self._woke)
            case _:
                return asked
        return None

    def _fault(self, asked: Move, *, playing: bool) -> str:
        """Why this key does nothing now; "" where it does something."""
        match asked.action:
            case "shell":
                return "a shell opens between two beats" if playing else self.stand.no_shell()
            case "panic":
                return self.stand.no_panic()
            case "standby":
                return self.stand.no_other(asked.argument)
            case "recorded":
                take = self.stand.side.take_of(self.beats[self.at])
                return take if isinstance(take, str) else ""
        return ""

    def _woke(self) -> None:
        self._inbox.put(WOKE)
