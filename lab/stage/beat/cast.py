"""The machine on stage, as beats and the engine use it. `lab/stage/beat/machine.py` is the real one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, Protocol

from lab.model import live
from lab.system.wait import Deadline

Alive = Literal["up", "silent", "gone", "restoring"]


class StageMachine(Protocol):
    """A machine with the forms of a show up in it. Its calls raise LabError, and end at their deadline."""

    @property
    def machine(self) -> str:
        """The machine's name."""

    @property
    def clock(self) -> Literal["real", "counted"]:
        """The clock that its figures are taken by."""

    @property
    def emulated(self) -> bool:
        """Whether its instructions are emulated: then it takes another load."""

    @property
    def live(self) -> live.Cast:
        """The forms on standby in it, ready for orders. Raises LabError where they cannot be reached."""

    def turn(self) -> AbstractContextManager[None]:
        """Hold the line to the forms while an order is followed."""

    @property
    def attached(self) -> set[str]:
        """The forms with an agent that a beat attached and has to take away: what it cannot, `settle` does."""

    def settle(self, deadline: Deadline) -> None:
        """End what an earlier attempt left running in the machine, and take away what it left attached."""

    def alive(self) -> Alive:
        """How the machine is now, from what this host sees of it: asks nothing that can hang."""

    def restore(self, deadline: Deadline) -> str:
        """Bring the machine and its forms back from the snapshot; returns how, in one sentence."""

    def close(self) -> None:
        """Stop what the beats left running in the machine, and let go of it."""
