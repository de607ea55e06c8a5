"""What stands around the beats of a show: the machine, the second one, the takes, and the shell."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lab.model.errors import LabError
from lab.model.lab import Lab
from lab.stage.beat.cast import StageMachine
from lab.stage.beat.scene import Scene
from lab.stage.diagnosis.critic import Critic
from lab.stage.history.takes import Take
from lab.stage.kinds.shell import shell_argv
from lab.stage.play.attempt import Attempt, Played
from lab.stage.play.restores import Restores
from lab.stage.show.show import Beat, Show
from lab.stage.stream.events import StageEvent
from lab.system.wait import Deadline

RESTORE_S: Final = 120.0
SWITCH_S: Final = RESTORE_S  # a machine that is down is restored first
REPLAY_SLACK_S: Final = 5.0
SETTLE_S: Final = 10.0
Emit = Callable[[StageEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One machine of a show with what was rehearsed on it. take_of: a beat's take, or why there is none.

    again: makes it once more, where the machine could not tell what its rehearsals are compared with; else None.
    """

    cast: StageMachine
    critic: Critic = field(default_factory=Critic)
    take_of: Callable[[Beat], Take | str] = lambda _: "there is no take of it"
    again: Callable[[], Side] | None = None


@dataclass(slots=True, kw_only=True)
class Stand:
    """`other`: makes the second machine ready, where there is one; `other_name`: its name.

    suspended: hands the terminal to a shell, and comes back after it.
    """

    lab: Lab
    show: Show
    side: Side
    other: Callable[[], Side] | None = None
    other_name: str = ""
    suspended: Callable[[list[str]], None] = lambda _: None
    on_ended: Callable[[Attempt, Beat, Played], None] = lambda *_: None
    confirms: bool = True  # whether a value that is off is measured once more; not in a rehearsal
    _restores: Restores = field(default_factory=Restores)
    _turns: threading.Lock = field(default_factory=threading.Lock)  # held while one side takes another's place
    _terminal: threading.Lock = field(default_factory=threading.Lock)  # held while a shell has it
    _in_shell: threading.Event = field(default_factory=threading.Event)

    @property
    def cast(self) -> StageMachine:
        """The machine that the show is on."""
        return self.side.cast

    def attempt(self, beat: Beat, emit: Emit, on_over: Callable[[], None]) -> Attempt:
        """One attempt of a beat, live."""

        def play(scene: Scene) -> None:
            if beat.needs_machine:
                self._restores.waited(scene.cast.machine, _until(beat, scene))
            if beat.orders:  # any other beat plays whatever has become of the forms
                scene.cast.settle(scene.deadline)
            critic = self.side.critic  # by now: a restore that was waited for may have brought it
            scene.judged = lambda event, first: critic.judged(beat.id, event, first)
            if self.confirms:
                scene.doubt = lambda values: critic.usual.doubt(beat.id, values)
            beat.does.play(scene)

        return Attempt(
            name=beat.id,
            scene=self._scene(beat.keys.budget_s, emit),
            play=play,
            expect=beat.expect,
            open_ended=beat.does.HANDS_OVER,
            on_over=on_over,
        )

    def replay(self, take: Take, emit: Emit, on_over: Callable[[], None]) -> Attempt:
        """A take, played."""
        scene = self._scene(take.seconds + REPLAY_SLACK_S, emit)
        return Attempt(name=take.beat, scene=scene, play=take.play, good="recorded", on_over=on_over)

    def restoring(self, emit: Emit, on_over: Callable[[], None]) -> Attempt:
        """The machine and its forms, brought back from the snapshot."""
        side = self.side
        scene, restored = self._scene(RESTORE_S, emit), self._restores.begun(side.cast, lambda: self._came_back(side))
        return Attempt(name="restore", scene=scene, play=lambda own: restored(own.deadline), on_over=on_over)

    def _came_back(self, side: Side) -> None:
        """Ask a machine that could not tell what it is. Where the show is elsewhere by now, the key back asks it."""
        if side.again is None:
            return
        there = side.again()
        with self._turns:
            if self.side is side:
                self.side = there

    def switching(self, emit: Emit, on_over: Callable[[], None]) -> Attempt:
        """The second machine in the first one's place; the first becomes the second. One that is not up is restored."""

        def play(scene: Scene) -> str:
            assert self.other is not None, "requested before"
            back = self._restores.joined(self.other_name, scene.deadline)
            there = self.other()
            if not scene.over and there.cast.alive() != "up":  # what is not wanted any more begins no restore
                back = self._restores.begun(there.cast)(scene.deadline)
                there = self.other()  # while it was down nobody could ask what its rehearsals are compared with
            if not scene.unless_over(lambda: self._switch(there)):
                return ""
            return "; ".join(filter(None, (f"the show is on {there.cast.machine} now", back)))

        return Attempt(name="standby", scene=self._scene(SWITCH_S, emit), play=play, on_over=on_over)

    def _switch(self, there: Side) -> None:
        with self._turns:
            before, self.side = self.side, there
            self.other, self.other_name = before.again or (lambda: before), before.cast.machine

    def no_other(self, name: str) -> str:
        """Why there is no second machine to switch to; "" when there is."""
        if self.other is None:
            return "no second machine was given: lab show --standby NAME"
        if name not in ("", self.other_name):
            return f"the second machine is {self.other_name}, not {name}"
        return ""

    def no_panic(self) -> str:
        """Why the machine cannot be restored now; "" when it can. A restore that a key left goes on to its end."""
        going = self._restores.goes_on(self.cast.machine)
        return f"already restoring machine {self.cast.machine}" if going else ""

    @property
    def in_shell(self) -> bool:
        """Whether a shell between two beats is open."""
        return self._in_shell.is_set()

    def no_shell(self) -> str:
        """Why no shell opens now; "" when one does. A beat that a key of the page left leaves its shell open."""
        taken = self.in_shell or self._terminal.locked()
        return "a shell is open in the terminal already: leave that one first" if taken else ""

    def shell(self, on_over: Callable[[], None]) -> None:
        """A shell of this host until it is left, beside the show: the page takes keys meanwhile."""

        def opened() -> None:
            try:
                self._hand_over(shell_argv())
            finally:
                self._in_shell.clear()
                on_over()

        self._in_shell.set()
        threading.Thread(target=opened, name="shell", daemon=True).start()

    def _hand_over(self, argv: list[str], scene: Scene | None = None) -> None:
        with self._terminal:
            if scene is None or not scene.over:  # a beat that was left while it waited for the terminal opens none
                self.suspended(argv)

    def left(self, attempt: Attempt) -> None:
        """What an attempt that was left behind still runs in the machine ends now: it costs the next beat its CPU."""
        if not attempt.done:
            threading.Thread(target=_settle, args=(attempt.scene.cast,), name="settle", daemon=True).start()

    def close(self) -> None:
        self.cast.close()

    def _scene(self, budget_s: float, emit: Emit) -> Scene:
        lab = dataclasses.replace(self.lab, cancel=threading.Event())
        scene = Scene(
            lab=lab,
            cast=self.cast,
            asked=self.show.asked,
            folder=self.show.folder,
            budget_s=budget_s,
            sink=emit,
        )
        scene.shell = lambda argv: self._hand_over(argv, scene)
        return scene


def _settle(cast: StageMachine) -> None:
    with contextlib.suppress(LabError):  # the next attempt tries again, and says so
        cast.settle(Deadline.after(SETTLE_S))


def _until(beat: Beat, scene: Scene) -> Deadline:
    """How long a beat waits for the machine: its budget, unless that does not end it."""
    return Deadline.after(RESTORE_S, scene.lab.cancel) if beat.does.HANDS_OVER else scene.deadline
