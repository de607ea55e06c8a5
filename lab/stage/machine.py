"""The cast of a real machine: what a show asks of it goes through the flows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from lab.flows import snapshot
from lab.flows.request import DemoRequest
from lab.machines import lifecycle
from lab.model import live
from lab.model.errors import PreconditionError
from lab.model.lab import Lab
from lab.stage.cast import Alive
from lab.system.wait import Deadline

TAG: Final = "ready"


@dataclass(slots=True, kw_only=True)
class LiveMachine:
    """A machine of this home with the forms of a show up in it."""

    lab: Lab
    machine: str
    asked: DemoRequest

    @property
    def clock(self) -> Literal["real", "counted"]:
        found = lifecycle.machine(self.lab, self.machine)
        return "counted" if found is not None and found.spec.clock == "counted" else "real"

    @property
    def live(self) -> live.Cast:
        raise PreconditionError("forms on standby take no orders yet", fix="lab snapshot --form …")

    def settle(self, deadline: Deadline) -> None:
        """Nothing runs yet."""

    def alive(self) -> Alive:
        found = lifecycle.glance(self.lab, self.machine)
        return "up" if found.phase == "running" else "silent" if found.phase == "hung" else "gone"

    def restore(self, deadline: Deadline) -> str:
        del deadline  # the flow has its own
        came = snapshot.restore(self.lab, self.machine, TAG, fallback=True, reattach=True)
        how = "restored" if came.went.restored else f"booted instead: {came.went.reason}"
        return f"machine {self.machine} is back after {came.went.seconds:.1f} s: {how}"

    def close(self) -> None:
        pass
