"""What a show needs of its machine: up, restorable, its forms proven now, and what beats are built from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from lab.flows import live, snapshot, standby
from lab.guest.wire.live import Proof
from lab.machines import lifecycle, snapshots
from lab.machines.providers import PROVIDERS
from lab.model.errors import LabError
from lab.model.lab import Lab
from lab.stage.beat.machine import TAG
from lab.stage.history import profile
from lab.stage.history.profile import Profile
from lab.stage.kinds.attach import AttachBeat
from lab.stage.prepare.points import About, Point
from lab.stage.show.show import Beat, Show
from lab.system.wait import Deadline

ASK_S: Final = 20.0
BEHIND_S: Final = 1.0


@dataclass(slots=True, kw_only=True)
class MachineChecks:
    """`again`: the command that rehearses this show there; `profile`: as it was found, for what the rehearsals are
    compared with; `other`: what is on standby where it is not what the show begins with."""

    ABOUT: ClassVar[dict[str, About]] = {
        "machine": "machine",
        "snapshot": "machine",
        "forms": "forms",
        "inputs": "forms",
        "clock": "machine",
    }

    lab: Lab
    machine: str
    show: Show
    again: str
    profile: Profile | None = None
    other: str = ""

    def looks(self) -> dict[str, Callable[[], Sequence[Point]]]:
        """By name, each to be called on its own."""
        return {
            "machine": self._up,
            "snapshot": self._snapshot,
            "forms": self._proofs,
            "inputs": self._inputs,
            "clock": self._clock,
        }

    def _up(self) -> list[Point]:
        found = lifecycle.glance(self.lab, self.machine)
        if found.phase == "running":
            return [Point.good("machine", f"{self.machine} is running")]
        fix = self.again
        if found.phase != "absent":
            fix = f"lab restore {self.machine} --from {TAG}, or {fix}"
        how = f"does not answer: {found.reason}" if found.phase == "unknown" else f"is {found.phase}"
        return [Point.failed("machine", f"machine {self.machine} {how}", fix, "machine")]

    def _snapshot(self) -> list[Point]:
        found = lifecycle.machine(self.lab, self.machine)
        if found is None:
            return []  # said already: the machine is absent
        if not PROVIDERS[found.spec.provider].FEATURES.snapshots:
            text = "this machine has no snapshots: panic starts its forms again, which takes longer"
            return [Point.good("snapshot", text)]
        if TAG not in snapshots.names(self.lab, self.machine):
            return [Point.warned("snapshot", f"there is no snapshot {TAG}: panic cannot restore", self.again)]
        if why := snapshot.unfit(self.lab, self.machine, TAG):
            text = f"snapshot {TAG} cannot be restored: {why}"
            return [Point.warned("snapshot", f"{text}; panic starts the forms again, which takes longer", self.again)]
        if self._begins_otherwise():
            text = f"the show begins from snapshot {TAG}, and machine {self.machine} {self.other}"
            return [Point.failed("snapshot", text, self.brings_back(), "machine")]
        return [Point.good("snapshot", f"snapshot {TAG} holds what is on standby")]

    def _begins_otherwise(self) -> bool:
        """Whether something else is on standby now than the snapshot that the show restores holds."""
        if TAG not in snapshots.names(self.lab, self.machine) or snapshot.same_forms(self.lab, self.machine, TAG):
            return False
        try:
            standby.kept(self.lab, self.machine)
            self.other = "has other forms on standby"
        except LabError:
            self.other = "has nothing on standby"
        return True

    def brings_back(self) -> str:
        """The fix of that."""
        return f"lab restore {self.machine} --from {TAG}, or {self.again}; then lab show --check"

    def _proofs(self) -> list[Point]:
        """One request through every form, now. What the show does not begin with is not asked."""
        if self._begins_otherwise():
            return []
        began = time.monotonic()
        with live.opened(self.lab, self.machine) as line:
            wanted = [form.name for form in self.show.asked.forms]
            order = line.reprove(tuple(name for name in wanted if name in line.forms))
            points = [self._proof(event) for event in order if isinstance(event, Proof)]
        took = time.monotonic() - began
        return points or [Point.failed("forms", f"no form was proven in {took:.0f} s", self.again, "forms")]

    def _proof(self, event: Proof) -> Point:
        silent = [form.name for form in self.show.asked.forms if form.proof == "none"]
        if event.ok and event.spans and event.form in silent:
            text = f"{event.form} gives {event.spans} spans: it has an agent that an earlier beat attached"
            return Point.warned("forms", text, "none is needed: lab show begins without it")
        if event.ok:
            spans = f"{event.spans} spans" if event.spans else "no span, as expected"
            return Point.good("forms", f"{event.form} answers: {spans}")
        fix = f"press p in the show, or {self.again}"
        text = f"{event.form}: {event.reason}"
        on_it = tuple(beat.id for beat in self.show.beats if beat.orders and event.form in _needed(beat))
        if not on_it:  # no beats at all would be all of them
            return Point.warned("forms", f"{text}; no beat asks it for anything", fix)
        return Point.failed("forms", text, fix, "forms", beats=on_it)

    def _inputs(self) -> list[Point]:
        if self._begins_otherwise():
            return []
        self.profile = found = profile.of(self.lab, self.machine, self.show)
        if found.wrong:
            text = f"forms on standby: {'; '.join(found.wrong)}"
            return [Point.failed("inputs", text, self.again, "forms")]
        return [Point.good("inputs", "the forms on standby are those that would be built now")]

    def _clock(self) -> list[Point]:
        with lifecycle.reach(self.lab, self.machine) as link:
            before = time.time()
            output = link.run(["date", "+%s.%N"], Deadline.after(ASK_S, self.lab.cancel)).text().strip()
            behind_s = (before + time.time()) / 2 - float(output)
        text = f"the machine's clock is {abs(behind_s):.1f} s {'behind' if behind_s >= 0 else 'ahead of'} this host's"
        if abs(behind_s) > BEHIND_S:
            found = lifecycle.machine(self.lab, self.machine)
            counts = found is not None and found.clock == "counted"
            why = "it counts instructions" if counts else "as after a restore"
            text += f": {why}; spans and requests share it, so figures hold"
        return [Point.good("clock", text)]


def _needed(beat: Beat) -> tuple[str, ...]:
    """The forms that a beat asks for something: those that it shows, and the one whose agent it attaches."""
    return (*beat.forms, beat.does.agent_of) if isinstance(beat.does, AttachBeat) else beat.forms
