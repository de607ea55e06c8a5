"""One attempt of a beat in a thread of its own: it ends when it is done, when its budget ends, or by a key."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.model.errors import Cancelled, LabError
from lab.stage.beat.expect import Expect
from lab.stage.beat.scene import Scene
from lab.stage.play.moves import Move
from lab.stage.stream.events import Outcome
from lab.system import host_faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How an attempt ended. `move`: the key that ended it, None where it ended by itself."""

    outcome: Outcome = "failed"
    seconds: float = 0.0
    reason: str = ""
    move: Move | None = None


@dataclass(slots=True, kw_only=True)
class Attempt:
    """`play` is given the scene; what it raises is how it failed, and what it returns is shown to the speaker.

    good: the outcome when nothing is wrong. open_ended: no budget ends it. A thread that does not return is left: no
    view shows what it does.
    """

    name: str
    scene: Scene
    play: Callable[[Scene], str | None]
    expect: tuple[Expect, ...] = ()
    good: Outcome = "passed"
    open_ended: bool = False
    on_over: Callable[[], None] = lambda: None
    said: str = ""
    _error: BaseException | None = None
    _done: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self.scene.began_s = time.monotonic()
        threading.Thread(target=self._work, name=f"beat {self.name}", daemon=True).start()

    def _work(self) -> None:
        try:
            self.said = self.play(self.scene) or ""
        except BaseException as error:  # noqa: BLE001 - it is told as the attempt's end
            self._error = error
        self._done.set()
        self.on_over()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def left_s(self) -> float:
        return math.inf if self.open_ended else self.scene.deadline.left_s()

    def end(self, move: Move | None) -> Played:
        """Close the scene and say how it went."""
        done, error = self.done, self._error
        seconds = round(time.monotonic() - self.scene.began_s, 2)
        self.scene.close()
        outcome, reason = self._judged(move, error, done=done)
        return Played(outcome=outcome, seconds=seconds, reason=reason, move=move)

    def _judged(self, move: Move | None, error: BaseException | None, *, done: bool) -> tuple[Outcome, str]:
        if move is not None:
            stops = move.action in ("stop", "retry", "recorded", "panic", "standby")
            return ("stopped" if stops else "skipped"), f"ended by a key: {move.action}"
        if not done or (error is not None and self.left_s() <= 0):
            return "missed", f"not done within its budget of {self.scene.budget_s:g} s"
        if error is not None:
            return "stopped" if isinstance(error, Cancelled) else "failed", _told(error)
        reasons = [reason for one in self.expect if (reason := one.missed(self.scene.seen))]
        return ("missed", "; ".join(reasons)) if reasons else (self.good, self.said)


def _told(error: BaseException) -> str:
    """What failed; of what ran side by side, such as the builds of two forms, each."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(map(_told, error.exceptions)))
    known = error if isinstance(error, LabError) else host_faults.failure(error)
    return known.message if known is not None else f"this is a bug in lab: {type(error).__name__}: {error}"
