"""A show made ready to be driven: its beats for the slot, its machines, and the lock that keeps a second show away."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from lab.flows import snapshot, standby
from lab.flows.request import DemoRequest
from lab.machines import snapshots
from lab.model.errors import Cancelled, LabError, UsageError
from lab.model.events import Bus, Notice, Record, Sink
from lab.model.lab import Lab
from lab.model.paths import STANDBY_FILE
from lab.stage.beat.machine import TAG, LiveMachine
from lab.stage.diagnosis.critic import Critic
from lab.stage.history import checked, ledger, profile, takes
from lab.stage.history.inputs import Inputs, of_host
from lab.stage.play.engine import Engine, Pace
from lab.stage.play.stand import Side, Stand
from lab.stage.show import advice
from lab.stage.show.show import Beat, Show
from lab.stage.stream.events import Remark
from lab.system import locks
from lab.system.wait import Deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowRequest:
    """How a show is played. minutes: a shorter slot; standby: the second machine; fresh: begin as the rehearsals did,
    from the snapshot or with the forms started again."""

    minutes: float | None = None
    standby: str = ""
    fresh: bool = False
    source: Literal["live", "rehearsal"] = "live"
    pace: Pace = "keys"


@contextlib.contextmanager
def opened(lab: Lab, show: Show, asked: ShowRequest) -> Iterator[Engine]:
    """The engine of a show on this command's machine. Raises Locked where another show is on it."""
    beats_of(show, asked.minutes)
    second_of(lab, asked.standby)
    with (
        staged(lab, lab.config.machine.name),
        staged(lab, asked.standby) if asked.standby else contextlib.nullcontext(),
    ):
        yield engine_of(lab, show, asked)


def engine_of(lab: Lab, show: Show, asked: ShowRequest, *, inputs: Inputs | None = None) -> Engine:
    """The same where the caller holds the stage already. inputs: where they are known."""
    beats = beats_of(show, asked.minutes)
    machine = lab.config.machine.name
    remarks: list[str] = []
    if asked.fresh and any(beat.needs_machine for beat in beats):
        for name in filter(None, (machine, asked.standby)):
            _restore(lab, name, show.asked, remarks)
    bus = Bus()
    lab = replace(lab, bus=bus)
    first = side(lab, machine, show, beats, remarks, inputs)
    confirms = asked.source == "live"  # what is rehearsed is the first window alone
    stand = Stand(lab=lab, show=show, side=first, other_name=asked.standby, confirms=confirms)
    if asked.standby:
        stand.other = lambda: side(lab, asked.standby, show, beats, [])
    slot_s = (asked.minutes or show.keys.slot_min) * 60
    engine = Engine(stand=stand, beats=beats, slot_s=slot_s, source=asked.source, pace=asked.pace)
    bus.add(_to_speaker(engine))
    for text in remarks:
        engine.first.append(Remark(text=text, level="warning"))
    return engine


def as_on_stage(lab: Lab, machine: str, asked: DemoRequest) -> tuple[str, ...]:
    """The machine as a show begins on it; names the forms that are not proven then. An agent's maps fill with use, and
    one that a beat attached may have stayed."""
    if TAG in snapshots.names(lab, machine):
        return tuple(snapshot.restore(lab, machine, TAG, fallback=True).failed)
    standby.start(lab, machine, asked)
    return ()


def _restore(lab: Lab, machine: str, asked: DemoRequest, remarks: list[str]) -> None:
    """A show begins where its rehearsals began. A machine that does not come back leaves the takes."""
    try:
        if TAG not in snapshots.names(lab, machine) and not (lab.paths.machine(machine) / STANDBY_FILE).exists():
            return  # never rehearsed: putting the forms there may take longer than the show
        if bad := as_on_stage(lab, machine, asked):
            remarks.append(f"machine {machine}: not proven after the restore: {', '.join(bad)}")
    except Cancelled:
        raise
    except LabError as error:
        remarks.append(f"machine {machine} was not restored: {error.message}")


@contextlib.contextmanager
def staged(lab: Lab, machine: str) -> Iterator[None]:
    """The stage of this machine is this command's while the block runs. Raises Locked."""
    now = Deadline.after(0, lab.cancel)
    fix = "end that show, or give another machine: --name NAME"
    with locks.hold(lab.paths.locks / f"show-{machine}", what=f"the stage of machine {machine}", deadline=now, fix=fix):
        yield


def second_of(lab: Lab, standby: str) -> None:
    """Refuse a second machine that is the first one. Raises UsageError."""
    if standby and standby == lab.config.machine.name:
        raise UsageError(f"--standby {standby} is the show's own machine", fix="give another one, or no --standby")


def beats_of(show: Show, minutes: float | None) -> tuple[Beat, ...]:
    """The beats of the slot. Raises UsageError for one that the show does not have."""
    slots = (show.keys.slot_min, *map(float, show.keys.cuts_min))
    if minutes is not None and minutes not in slots:
        known = ", ".join(f"{slot:g}" for slot in slots)
        raise UsageError(f"--minutes {minutes:g} is no slot of show {show.name}", fix=f"give one of {known}")
    return show.within(minutes or show.keys.slot_min)


def side(
    lab: Lab,
    machine: str,
    show: Show,
    beats: tuple[Beat, ...],
    remarks: list[str],
    inputs: Inputs | None = None,
    cast: LiveMachine | None = None,
) -> Side:
    """A machine with its rehearsals and takes. One that cannot be asked keeps its takes: they have to do then, until it
    comes back. cast: the machine as the show has it already."""
    place = takes.folder(lab.paths, machine, show.name)
    cast = cast or LiveMachine(lab=lab, machine=machine, asked=show.asked)
    asks = any(beat.needs_machine for beat in beats)
    told = inputs is not None or not asks
    if not told:
        try:
            found = profile.of(lab, machine, show)
            inputs, told = found.inputs, not found.wrong
            if found.wrong:
                puts = f"{advice.rehearse(show, machine)} puts them there"
                remarks.append(f"forms on standby: {'; '.join(found.wrong)}; {puts}")
        except LabError as error:
            remarks.append(f"machine {machine}: {error.message}")
    if since := checked.changed(place):
        remarks.append(since)
    rehearsals = ledger.read(place)
    known = inputs or of_host(show)
    if inputs is None and not asks:
        inputs = of_host(show).on(rehearsals[-1].inputs if rehearsals else None)
    return Side(
        cast=cast,
        critic=Critic.of(rehearsals, inputs, [beat.id for beat in beats]) if inputs is not None else Critic(),
        take_of=lambda beat: takes.usable(place, beat.id, known),
        again=None if told else lambda: side(lab, machine, show, beats, [], cast=cast),
    )


def _to_speaker(engine: Engine) -> Sink:
    """What a flow warns of outside of its steps, for the speaker: the rest was read in rehearsals."""

    def hear(record: Record) -> None:
        if isinstance(record.event, Notice) and record.event.level != "info":
            engine.emit(Remark(text=record.event.text, level=record.event.level))

    return hear
