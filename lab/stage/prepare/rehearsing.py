"""`lab rehearse`: a show from nothing to stage-ready, run by run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.flows import demo, request, snapshot, standby
from lab.machines import lifecycle, snapshots
from lab.machines.providers import PROVIDERS
from lab.model.errors import Cancelled, LabError, UsageError
from lab.model.events import Notice
from lab.model.lab import Lab
from lab.stage.beat.machine import TAG
from lab.stage.history import ledger, profile, takes
from lab.stage.history.inputs import of_host
from lab.stage.history.ledger import Rehearsal
from lab.stage.history.profile import Profile
from lab.stage.kinds.build import BuildBeat
from lab.stage.kinds.pillar import PillarBeat, newest
from lab.stage.play.awake import awake
from lab.stage.play.engine import Engine
from lab.stage.play.opening import ShowRequest, as_on_stage, beats_of, engine_of, staged
from lab.stage.prepare.rehearsal import Recorder, has_fallback, needs
from lab.stage.show.show import Beat, Show
from lab.system import asleep, offline
from lab.system.wait import Deadline

Perform = Callable[[Engine], None]
RUNS: Final = 5
WARM_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What the runs of this command left, and what is still missing before the show is ready for the stage."""

    runs: tuple[Rehearsal, ...]
    missing: tuple[str, ...]
    place: Path


def rehearse(lab: Lab, show: Show, asked: ShowRequest, runs: int, perform: Perform) -> Rehearsed:
    """Make what is missing, then play the show so many times; `perform` puts an engine on the screen and runs it.

    In the first run each fallback is played once more after its beat; in the last the network is cut. The key that ends
    a run ends them all. A machine without snapshots is left as each run found it. The stage is held all the while: a
    show that is on would lose its machine. Raises Locked where one is. Unattended it takes long enough for a laptop to
    go to sleep: that is held back all the while; with keys the views hold it back.
    """
    beats = beats_of(show, asked.minutes)

    def said(text: str) -> None:
        lab.bus.emit(Notice(level="warning", text=text))

    with staged(lab, lab.config.machine.name), awake(said) if asked.pace == "alone" else contextlib.nullcontext():
        return _rehearsed(lab, show, asked, beats, runs, perform)


def _rehearsed(
    lab: Lab, show: Show, asked: ShowRequest, beats: tuple[Beat, ...], runs: int, perform: Perform
) -> Rehearsed:
    machine = lab.config.machine.name
    place = takes.folder(lab.paths, machine, show.name)
    with lab.bus.step("prepare", f"machine {machine} with the forms of {show.name} on standby"):
        found = prepare(lab, show)
    done: list[Rehearsal] = []
    for number in range(runs):
        if any(beat.needs_machine for beat in beats):
            as_on_stage(lab, machine, show.asked)
        recorder = Recorder(show=show, place=place, machine=machine, inputs=found.inputs)
        recorder.network_cut = number == runs - 1
        with lab.bus.step("rehearse", f"rehearsal {number + 1} of {runs}", index=number + 1, of=runs) as step:
            with offline.cut(_hosts(lab, machine)) if recorder.network_cut else contextlib.nullcontext():
                engine = engine_of(lab, show, asked, inputs=found.inputs)
                recorder.watch(engine)
                engine.drill = has_fallback if number == 0 else lambda _: False
                slept_s = asleep.slept_s()
                perform(engine)
                recorder.slept_s = asleep.slept_s() - slept_s
            if lab.cancel.is_set():
                raise Cancelled
            rehearsal = recorder.finish(beats)
            done.append(rehearsal)
            step.say(_told(rehearsal))
        if engine.stopped and engine.pace == "keys":  # whoever pressed q wants no other run to begin
            break
    if any(beat.needs_machine for beat in beats) and TAG not in snapshots.names(lab, machine):
        as_on_stage(lab, machine, show.asked)  # what is checked next is proven by fresh agents
    slot_s = (asked.minutes or show.keys.slot_min) * 60
    missing = ledger.stage_ready(ledger.read(place), found.inputs, needs(beats, slot_s, RUNS))
    return Rehearsed(runs=tuple(done), missing=missing, place=place)


def prepare(lab: Lab, show: Show) -> Profile:
    """The machine up, a run for the pillars, the forms of the show on standby, and a snapshot of all where there can
    be one. What exists already stays. A show that asks no machine for anything gets none."""
    measured = any(isinstance(beat.does, PillarBeat) and not beat.does.run for beat in show.beats)
    if not measured and not any(beat.needs_machine for beat in show.beats):
        return _of_host(lab, show)
    machine = lifecycle.up(lab, lab.config.machine.spec(), lock_timeout_s=lab.config.lock_timeout_s, keep=True)
    name = machine.spec.name
    if measured:
        whole = request.with_controls(show.asked)
        try:
            newest(lab.paths, whole, machine.clock)
        except UsageError:
            demo.demo(lab, whole)
    _warm_builds(lab, show, takes.folder(lab.paths, name, show.name))
    can = PROVIDERS[machine.spec.provider].FEATURES.snapshots
    try:
        found = profile.of(lab, name, show)
        if not found.wrong and (not can or snapshot.holds(lab, name, TAG)):
            return found
    except LabError as error:
        lab.bus.emit(Notice(level="info", text=f"the forms are put on standby: {error.message}"))
    if can:
        snapshot.keep(lab, name, TAG, show.asked)
    else:
        standby.start(lab, name, show.asked)
    return profile.of(lab, name, show)


def _of_host(lab: Lab, show: Show) -> Profile:
    name = lab.config.machine.name
    place = takes.folder(lab.paths, name, show.name)
    _warm_builds(lab, show, place)
    rehearsals = ledger.read(place)
    return Profile(inputs=of_host(show).on(rehearsals[-1].inputs if rehearsals else None))


def _warm_builds(lab: Lab, show: Show, place: Path) -> None:
    """What beats build live was built once: from cold caches it takes minutes, which no budget has."""
    for beat in show.beats:
        if isinstance(beat.does, BuildBeat) and not (place / takes.FOLDER / f"{beat.id}.json").exists():
            with lab.bus.step("warm", f"build {beat.does.form} once, for the caches"):
                beat.does.weave(lab, show.asked, lab.config.machine.name, Deadline.after(WARM_S, lab.cancel))


def _hosts(lab: Lab, machine: str) -> tuple[str, ...]:
    """What is still reached while the network is cut: the machine itself."""
    found = lifecycle.machine(lab, machine)
    return (found.ssh.host,) if found is not None and found.ssh is not None else ()


def _told(rehearsal: Rehearsal) -> str:
    cut = ", with the network cut" if rehearsal.network_cut else ""
    why = rehearsal.unclean_in({beat.beat for beat in rehearsal.beats})
    return f"{'clean' if rehearsal.clean else f'not clean: {why}'}{cut}"
